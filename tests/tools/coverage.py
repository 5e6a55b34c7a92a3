#!/usr/bin/python3
"""coverage.py DIRECTORY: line coverage of proto/ and spoa/ after a run of the programs built in DIRECTORY (--coverage).

Exits with 1 where that of the pure part, proto/ and spoa/core/, is under 95 %.
"""
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


PURE = ("proto/", "spoa/core/")
PURE_LEAST = 95.0


def percent(sums):
    run, total = sums
    return 100 * run / max(total, 1)


def main(directory):
    pure, rest = [0, 0], [0, 0]
    for source, lines in sorted(lines_of(directory).items()):
        missed = sorted(number for number, count in lines.items() if count == 0)
        sums = pure if source.startswith(PURE) else rest
        sums[0] += len(lines) - len(missed)
        sums[1] += len(lines)
        print(f"{100 * (len(lines) - len(missed)) / len(lines):6.1f} %  {source:<32} {ranges(missed)}".rstrip())
    print(f"{percent(rest):6.1f} %  of {rest[1]} lines of adapters and commands (most of their tests run the program itself)")
    print(f"{percent(pure):6.1f} %  of {pure[1]} lines of proto/ and spoa/core/; {PURE_LEAST} % are wanted")
    return 0 if percent(pure) >= PURE_LEAST else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
