"""Which program enters which function of proto/ and spoa/: only such a program can notice what mutation.py does to it.

The function is the unit, not the line: what is changed in a line that a program does not run may bring it there ("case 3:").
"""
import collections
import re
import subprocess
import sys


class Coverage:
    def __init__(self, tree, folder):
        """Each program has a folder of its own in `folder`, which must be empty."""
        self.tree = tree
        self.folder = folder
        self.lines = collections.defaultdict(lambda: collections.defaultdict(set))  # program: file: where entered functions begin

    def environment(self, program):
        """That of a run of which mutation_coverage.c is to take note."""
        folder = self.folder / program
        folder.mkdir(parents=True, exist_ok=True)
        return {"ENTERED": str(folder)}

    def read(self, binaries):
        """What the runs have left of these programs and libraries."""
        for binary in binaries:
            notes = {path.parent: {match.start() for match in re.finditer(b"\1", path.read_bytes())}
                     for path in self.folder.rglob(binary.name)}
            addresses = sorted(set().union(*notes.values()))
            if not addresses:
                sys.exit(f"mutation: nothing is noted of {binary.name}")
            places = dict(zip(addresses, self.ask(binary, addresses)))
            for folder, entered in notes.items():
                for address in entered:
                    file, line = places[address]
                    self.lines[str(folder.relative_to(self.folder))][file].add(line)

    def ask(self, binary, addresses):
        """(file, line) of each."""
        output = subprocess.run(["addr2line", "-e", str(binary)], input="\n".join(map(hex, addresses)), check=True,
                                stdout=subprocess.PIPE, text=True).stdout
        for file, line in re.findall(r"^(.*):([0-9?]+)", output, re.M):
            yield file.removeprefix(f"{self.tree}/").removeprefix("./"), int(line.replace("?", "0"))

    def enters(self, program, file, functions):
        """Whether it enters one of the functions, which are the ranges of their lines."""
        return any(line in function for line in self.lines[program][file] for function in functions)

    def size(self, program):
        """How many functions it enters."""
        return sum(map(len, self.lines[program].values()))
