#!/usr/bin/python3
"""coverage.py DIRECTORY: line coverage of proto/ and spoa/ after a run of the programs built in DIRECTORY (--coverage)."""
import gzip
import json
import pathlib
import subprocess
import sys
import tempfile


def lines_of(directory):
    """{source: {line: times run}} by gcov; a source that no program ran counts as never run."""
    sources = {}
    for notes in sorted(pathlib.Path(directory, "obj").rglob("*.gcno")):
        with tempfile.TemporaryDirectory() as folder:
            subprocess.run(["gcov", "--json-format", str(notes.resolve())], cwd=folder, check=True,
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            for report in pathlib.Path(folder).glob("*.gcov.json.gz"):
                for file in json.loads(gzip.decompress(report.read_bytes()))["files"]:
                    lines = sources.setdefault(file["file"], {})
                    for line in file["lines"]:
                        lines[line["line_number"]] = lines.get(line["line_number"], 0) + line["count"]
    return {source: lines for source, lines in sources.items() if source.startswith(("proto/", "spoa/"))}


def ranges(numbers):
    """[1, 2, 3, 7] as "1-3 7"."""
    runs = []
    for number in numbers:
        if runs and runs[-1][1] == number - 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return " ".join(str(a) if a == b else f"{a}-{b}" for a, b in runs)


def main(directory):
    run_sum = all_sum = 0
    for source, lines in sorted(lines_of(directory).items()):
        missed = sorted(number for number, count in lines.items() if count == 0)
        run_sum += len(lines) - len(missed)
        all_sum += len(lines)
        print(f"{100 * (len(lines) - len(missed)) / len(lines):6.1f} %  {source:<32} {ranges(missed)}".rstrip())
    print(f"{100 * run_sum / max(all_sum, 1):6.1f} %  of {all_sum} lines")


if __name__ == "__main__":
    main(sys.argv[1])
