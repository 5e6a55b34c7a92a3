#!/usr/bin/python3
"""mutation.py [DIFF...]: breaks one small thing of proto/ or spoa/ at a time, and sees whether a test notices.

Environment: COUNT (60) mutants, chosen by SEED, in FOLDERS ("proto spoa"; files are folders, too); INTEGRATION=0 leaves out
the integration tests; JOBS (1) unit tests at once. With DIFFs, as survivors are printed: those are tried, instead of mutants
by chance.

Kinds: a comparison, a boolean, a constant, a statement that is removed, an early return. The unit tests are run first (those
that are named after the file, then those of its room, then the others), then the corpora of the fuzz targets, then the
simulation, all of them only where they enter the function that is changed; then the integration tests that INTEGRATION_TESTS
names for its folder. The first that fails twice is enough.

The mutant that compiles to the same code is no mutant, and neither is one of mutation-equivalents.txt. All of it happens
in a copy of the tree, build/mutation/. Prints the survivors as diffs, which are also in build/mutation/survivors/, and
the score of each folder; exit status 1 where the unchanged tree fails already.
"""
import collections
import concurrent.futures
import dataclasses
import difflib
import os
import pathlib
import random
import re
import shlex
import shutil
import subprocess
import sys
import time

import mutation_coverage

ROOT = pathlib.Path(__file__).resolve().parents[2]
WORK = ROOT / "build" / "mutation"
TREE = WORK / "tree"
MUTANT = WORK / "mutant"
SURVIVORS = WORK / "survivors"
ENTERED = WORK / "entered"
EQUIVALENTS = pathlib.Path(__file__).with_name("mutation-equivalents.txt")

# The longest beginning of a path counts.
INTEGRATION_TESTS = {
    "proto": "test_spop",
    "spoa": "test_cli test_reload test_handover test_restart",
    "spoa/cli": "test_check test_check_haproxy test_commands test_rehearse_refused test_init_played "
                "test_cli test_doctor test_mistakes test_init test_restart test_status test_rehearse",
    "spoa/core": "test_cli test_rule test_http",
    "spoa/core/config": "test_cli test_recipes test_mistakes",
    "spoa/core/decision": "test_rule test_handover test_replicas test_parking",
    "spoa/core/haproxy": "test_spop test_parking test_cutting test_checks",
    "spoa/core/observers": "test_hooks test_failover_shown",
    "spoa/core/redis": "test_sentinels test_dialects test_tls",
    "spoa/core/status": "test_http test_status test_truth test_monitoring",
    "spoa/core/voters": "test_sentinels test_rule test_dialects test_addresses test_silence",
    "spoa/io/effects": "test_hooks test_cutting",
    "spoa/io/net": "test_listeners test_names test_limits test_tls",
    "spoa/io/process": "test_cli test_sandbox test_autoreload test_manager",
    "spoa/io/redis": "test_sentinels test_dialects test_tls",
    "spoa/io/serve": "test_spop test_http test_checks test_limits test_handover test_restart test_spop_tls",
}

CC = shlex.split(os.environ.get("CC") or "gcc")
COMMON = ["-std=c11", "-w", "-fPIC", "-I.", "-D_GNU_SOURCE", "-fno-strict-aliasing", "-pthread",
          '-DSENTINEL_SPOA_VERSION="0"', '-DSENTINEL_SPOA_REVISION=""']
SANITIZE = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
# "checked" for the tests and the agent; "fast" for the simulation.
FLAGS = {"checked": ["-O0", "-g1", "-finstrument-functions", *SANITIZE], "fast": ["-O1"]}
RECORDER = "tests/tools/mutation_coverage.c"
# What a compiler makes of a mutant says whether it is one.
SAME_CODE = ["-O2", "-g0", "-DNDEBUG"]
SIM_RUNS = 20000
# Those that show which functions the simulation enters: with sanitizers, so that they take long.
SIM_RUNS_ENTERED = 1000
ENVIRONMENT = {**os.environ, "ASAN_OPTIONS": "detect_leaks=1:detect_stack_use_after_return=1"}
# A program, or a file of integration tests, of the unchanged tree ends long before, on a busy machine, too.
PROGRAM_DEADLINE_S = 180
SIM_DEADLINE_S = 300
INTEGRATION_DEADLINE_S = 600

# As in the Makefile: these programs replace functions of the C library, in our code as well.
WITHOUT_MEMORY = [f"-Wl,--wrap={name}" for name in ("malloc", "calloc", "realloc", "strdup", "strndup")]
WRAPPED = {"test_out_of_memory": WITHOUT_MEMORY, "test_net_out_of_memory": WITHOUT_MEMORY,
           "test_names_out_of_memory": WITHOUT_MEMORY,
           "test_short_of_memory": [*WITHOUT_MEMORY, "-Wl,--wrap=asprintf"],
           "test_cut_debts_growth": ["-Wl,--wrap=strcmp"]}


# ---- mutations ----

@dataclasses.dataclass(frozen=True)
class Mutant:
    file: str
    kind: str
    text: str  # the whole file

    def diff(self, context=3):
        old = (TREE / self.file).read_text().splitlines(keepends=True)
        return "".join(difflib.unified_diff(old, self.text.splitlines(keepends=True), f"a/{self.file}", f"b/{self.file}", n=context))

    def key(self):
        """What makes it the same mutant although lines before it come and go."""
        changed = [line for line in self.diff(0).splitlines()[2:] if not line.startswith("@@")]
        return (self.file, *(line[0] + line[1:].strip() for line in changed))

    def place(self):
        return f"{self.file}:{re.search(r'^@@ -([0-9]+)', self.diff(0), re.M).group(1)}"

    def functions(self):
        """Those that it changes, as ranges of lines; None where it changes something else as well."""
        code = masked((TREE / self.file).read_text())
        every = [range(code.count("\n", 0, begin - len(head) - len("\n{\n")) + 1, code.count("\n", 0, end) + 2)
                 for head, begin, end in functions(code)]
        changed = set()
        for first, count in re.findall(r"^@@ -([0-9]+)(?:,([0-9]+))?", self.diff(0), re.M):
            last = int(first) + max(int(count or 1) - 1, 0)
            found = [lines for lines in every if int(first) in lines and last in lines]
            if not found:
                return None
            changed.update(found)
        return changed


def blank(match):
    return re.sub(r"[^\n]", " ", match.group(0))


def masked(text):
    """The text with comments, literals, assertions and the preprocessor's lines blanked out; as long as it was."""
    text = re.sub(r"/\*.*?\*/|//[^\n]*|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])+'", blank, text, flags=re.S)
    text = re.sub(r"^#(?:[^\n]*\\\n)*[^\n]*", blank, text, flags=re.M)
    return re.sub(r"\b(?:static_)?assert\(.*?;", blank, text, flags=re.S)


def functions(code):
    """(head, begin, end) of each function's body in masked text; braces of functions stand at the beginning of a line."""
    for match in re.finditer(r"^([a-z][^;{}]*\))\n\{\n(.*?)^\}", code, re.M | re.S):
        yield match.group(1), match.start(2), match.end(2)


REPLACEMENTS = {
    "comparison": [(" == ", [" != "]), (" != ", [" == "]), (" <= ", [" < ", " > "]), (" >= ", [" > ", " < "]),
                   (" < ", [" <= ", " >= "]), (" > ", [" >= ", " <= "])],
    "boolean": [("&&", ["||"]), ("||", ["&&"]), (r"!(?=[\w(])", [""]), (r"\btrue\b", ["false"]), (r"\bfalse\b", ["true"])],
}


def find_replacements(code, begin, end, kind):
    for pattern, others in REPLACEMENTS[kind]:
        pattern = pattern if "\\" in pattern or "(?" in pattern else re.escape(pattern)
        for match in re.compile(pattern).finditer(code, begin, end):
            for other in others:
                yield match.start(), match.end(), other


def find_constants(code, begin, end):
    for match in re.compile(r"(?<![\w.])([0-9]+)(u?)(?![\w.])").finditer(code, begin, end):
        line = code[code.rfind("\n", 0, match.start()) + 1:match.start()]
        if re.match(r" +[a-z][\w ]* \*?\w+\[$", line):  # the size of an array
            continue
        number = int(match.group(1))
        for other in {0: [1], 1: [0, 2]}.get(number, [number + 1, number - 1]):
            if other > number and re.search(r"calloc\([^,]*$", line):  # more memory, which nobody uses
                continue
            yield match.start(), match.end(), f"{other}{match.group(2)}"


STATEMENT = re.compile(r"(?<=\n)( {4,})((?:\(void\))?\w+\([^;{}]*\)|[*+-]*\w[\w.>\[\]()-]* (?:[-+*/|&^]|<<|>>)?= [^;{}]*|"
                       r"(?:\+\+|--)[\w.>\[\]-]+|[\w.>\[\]-]+(?:\+\+|--)|return\b[^;{}]*|break|continue);(?=\n)")


def find_statements(code, begin, end):
    for match in STATEMENT.finditer(code, begin, end):
        indent, text = match.group(1), match.group(2)
        is_last_word = text.startswith("return") and len(indent) == 4
        if not is_last_word and not re.match(r"(if|for|while|switch) |\(void\)\w+$", text):
            yield match.start(2), match.end(), ";"


def find_returns(head, code, begin, end):
    kind = re.match(r"(?:static )?(?:inline )?(void|bool|int|unsigned|size_t|u?int[0-9]+_t) \w+\(", head)
    if kind is None:
        return
    values = {"void": [""], "bool": [" false", " true"]}.get(kind.group(1), [" 0"])
    for match in re.compile(r"^    (?=[a-z*(])", re.M).finditer(code, begin, end):
        if not code.startswith("return", match.end()):
            for value in values:
                yield match.end(), match.end(), f"return{value};\n    "


def find_edits(text, kind):
    """(begin, end, replacement) of each mutation of this kind."""
    code = masked(text)
    for head, begin, end in functions(code):
        if kind in REPLACEMENTS:
            yield from find_replacements(code, begin, end, kind)
        elif kind == "constant":
            yield from find_constants(code, begin, end)
        elif kind == "statement":
            yield from find_statements(code, begin - 1, end)
        else:
            yield from find_returns(head, code, begin, end)


KINDS = ("comparison", "boolean", "constant", "statement", "return")


def read_equivalents():
    """The mutants that change nothing: blocks of a file's name, lines "-old" and lines "+new"; "#" says why."""
    blocks = re.split(r"\n\s*\n", EQUIVALENTS.read_text())
    lines = ([line for line in block.splitlines() if line.strip() and not line.startswith("#")] for block in blocks)
    return {(block[0].strip(), *(line[0] + line[1:].strip() for line in block[1:])) for block in lines if block}


def draw(sources, seed):
    """Mutants without end: a kind, then a place of all that have it."""
    chance = random.Random(seed)
    texts = {source: (TREE / source).read_text() for source in sources}
    edits = {kind: [(source, edit) for source, text in texts.items() for edit in find_edits(text, kind)] for kind in KINDS}
    equivalents, drawn = read_equivalents(), set()
    total = sum(map(len, edits.values()))
    print(f"mutation: {total} mutants to choose from", flush=True)
    while len(drawn) < total:
        kind = chance.choice([kind for kind in KINDS if edits[kind]])
        choice = chance.choice(edits[kind])
        if (kind, choice) in drawn:
            continue
        drawn.add((kind, choice))
        source, (begin, end, other) = choice
        mutant = Mutant(source, kind, texts[source][:begin] + other + texts[source][end:])
        if mutant.key() not in equivalents:
            yield mutant


def read_diff(path):
    """A mutant out of a diff of one file."""
    file = re.search(r"^\+\+\+ b/(\S+)", path.read_text(), re.M).group(1)
    MUTANT.mkdir(parents=True, exist_ok=True)
    shutil.copy(TREE / file, MUTANT / "patched.c")
    subprocess.run(["patch", "-s", str(MUTANT / "patched.c"), str(path.resolve())], check=True)
    return Mutant(file, path.stem, (MUTANT / "patched.c").read_text())


# ---- the copy, and its build ----

def copy_tree():
    """What stays the same keeps its time, so that its object stays, too."""
    shutil.rmtree(TREE, ignore_errors=True)
    shutil.copytree(ROOT, TREE, symlinks=True,
                    ignore=lambda folder, names: {"build", ".git"} & set(names) if pathlib.Path(folder) == ROOT else set())
    (TREE / "build").mkdir()
    page = (TREE / "spoa/core/status/status_page.html").read_bytes()
    (TREE / "build/status_page.inc").write_text("".join(f"{byte}," for byte in page))


def run(words, deadline_s=PROGRAM_DEADLINE_S, environment=None):
    """Exit status and output; None where it hung. Standard input is an empty pipe: a mutant that ran as root once took the
    rights of its descriptor 0 from everybody, and that was /dev/null."""
    with subprocess.Popen(words, cwd=TREE, env={**ENVIRONMENT, **(environment or {})}, stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True) as process:
        try:
            output, _ = process.communicate(timeout=deadline_s)
            return process.returncode, output.decode(errors="replace")
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, 9)
            process.communicate()
            return None, "it hung"


def must(words):
    status, output = run([str(word) for word in words], 600)
    if status != 0:
        sys.exit(f"mutation: {shlex.join(map(str, words))[:500]}\n{output}")


def for_all(work, things):
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for _ in pool.map(work, things):
            pass


def pkg_config(*options):
    return subprocess.run(["pkg-config", *options], check=True, stdout=subprocess.PIPE, text=True).stdout.split()


def sources_of(*patterns):
    return [str(path.relative_to(TREE)) for pattern in patterns for path in sorted(TREE.glob(pattern))
            if path.name != "tls_none.c"]


class Build:
    """Programs that share two libraries, so that a mutant costs one object and one link. Those in which the linker puts
    functions in the place of others are linked one by one."""

    def __init__(self):
        self.core = sources_of("proto/*.c", "spoa/core/*/*.c")
        self.rest = [source for source in sources_of("spoa/io/*/*.c", "spoa/*.c", "spoa/cli/*.c") if source != "spoa/main.c"]
        self.units = sources_of("tests/unit/**/test_*.c")
        self.fuzz = sources_of("tests/fuzz/fuzz_*.c")
        self.lib = sources_of("tests/lib/*.c")
        self.sim = sources_of("tests/sim/*.c")
        self.cflags = pkg_config("--cflags", "hiredis", "libmicrohttpd", "openssl", "cmocka")
        self.libs = [*pkg_config("--libs", "hiredis", "libmicrohttpd", "openssl", "cmocka"), "-lev", "-pthread"]
        self.library_of = {**dict.fromkeys(self.core, "core"), **dict.fromkeys(self.rest, "rest")}

    def object_of(self, source, flags):
        return WORK / flags / (source[:-2].replace("/", "--") + ".o")

    def compile(self, source, flags):
        target = self.object_of(source, flags)
        rule = target.with_suffix(".d")
        if target.exists() and rule.exists():
            # This file has the flags.
            words = [*rule.read_text().replace("\\\n", " ").split()[1:], "tests/tools/mutation.py"]
            if all(os.path.exists(TREE / word) and os.stat(TREE / word).st_mtime <= target.stat().st_mtime
                   for word in words if word != "build/status_page.inc"):
                return
        must([*CC, *COMMON, *self.cflags, *FLAGS[flags], "-MMD", "-c", source, "-o", target])

    def compile_all(self):
        for flags in FLAGS:
            (WORK / flags).mkdir(parents=True, exist_ok=True)
        self.compile(RECORDER, "fast")
        checked = (*self.core, *self.rest, "spoa/main.c", *self.units, *self.fuzz, *self.lib, "tests/fuzz/replay.c")
        for_all(lambda source: self.compile(source, "checked"), checked)
        for_all(lambda source: self.compile(source, "fast"), (*self.core, *self.sim))

    def objects(self, sources, flags="checked", mutated=None):
        return [MUTANT / f"{flags}.o" if source == mutated else self.object_of(source, flags) for source in sources]

    def link_library(self, folder, name, mutated=None):
        """Into `folder`, where the programs look for it first."""
        sources = self.core if name == "core" else self.rest
        objects = [*self.objects(sources, mutated=mutated), self.object_of(RECORDER, "fast")]
        must([*CC, *SANITIZE, "-shared", "-o", folder / f"lib{name}.so", *objects])

    def link_program(self, source, *more, mutated=None):
        """A program of the tests, or the agent; its path."""
        program = WORK / "programs" / source[:-2]
        name = pathlib.Path(source).stem
        has_rest = not source.startswith(("tests/unit/core", "tests/unit/proto"))
        objects = self.objects([source, *more])
        if name in WRAPPED:
            program = MUTANT / name
            objects += [*self.objects([*self.core, *self.rest], mutated=mutated), self.object_of(RECORDER, "fast")]
            where = WRAPPED[name]
        else:
            where = [f"-L{WORK}", *(["-lrest"] if has_rest else []), "-lcore"]
        program.parent.mkdir(parents=True, exist_ok=True)
        must([*CC, *SANITIZE, "-o", program, *objects, *where, *self.libs])
        return program

    def link_all(self):
        shutil.rmtree(WORK / "programs", ignore_errors=True)
        shutil.rmtree(MUTANT, ignore_errors=True)
        MUTANT.mkdir()
        for name in ("core", "rest"):
            self.link_library(WORK, name)
        for_all(lambda source: self.link_program(source, *self.lib),
                [source for source in self.units if pathlib.Path(source).stem not in WRAPPED])
        for_all(lambda source: self.link_program(source, "tests/fuzz/replay.c"), self.fuzz)
        self.link_program("spoa/main.c")

    def link_sim(self, mutated=None):
        must([*CC, "-o", MUTANT / "sim", *self.objects([*self.core, *self.sim], "fast", mutated)])

    def link_sim_entering(self):
        """That with the library that notes what is entered; its path."""
        must([*CC, *SANITIZE, "-o", MUTANT / "sim_entering", *self.objects(self.sim, "fast"), f"-L{WORK}", "-lcore"])
        return MUTANT / "sim_entering"

    def compile_mutant(self, mutant, flags, *options):
        """False where the compiler does not take it."""
        source = MUTANT / "mutant.c"
        source.write_text(mutant.text)
        words = [*CC, *COMMON, *self.cflags, *FLAGS[flags], "-c", str(source), *options, "-o", str(MUTANT / f"{flags}.o")]
        return run(words)[0] == 0

    def makes_same_code(self, mutant):
        """Both by the same name, which some of the code may mention."""
        source, codes = MUTANT / "mutant.c", []
        for text in (mutant.text, (TREE / mutant.file).read_text()):
            source.write_text(text)
            must([*CC, *COMMON, *self.cflags, *SAME_CODE, "-c", source, "-o", MUTANT / "same.o"])
            codes.append((MUTANT / "same.o").read_bytes())
        return codes[0] == codes[1]


# ---- tests ----

class Judge:
    def __init__(self, build, with_integration, jobs):
        self.build = build
        self.with_integration = with_integration
        self.jobs = jobs
        self.coverage = mutation_coverage.Coverage(TREE, ENTERED)
        self.broken = {}  # integration test: whether the unchanged agent fails it, too

    def likeliness(self, file, source):
        """The key that sorts the unit tests for this file: the likeliest first, then those that enter little."""
        name, room = pathlib.Path(file).stem, str(pathlib.Path(file).parent).replace("spoa/", "", 1)
        test, is_of_room = pathlib.Path(source).stem.removeprefix("test_"), f"tests/unit/{room}" in source
        is_akin = set(name.split("_")) & set(test.split("_")) and is_of_room
        return (test != name, not is_akin, not is_of_room, self.coverage.size(source), source)

    def fails(self, words, deadline_s=PROGRAM_DEADLINE_S, environment=None):
        """Whether it fails twice, or hangs. A mutant has its libraries in its own folder."""
        environment = {"LD_LIBRARY_PATH": f"{MUTANT}:{WORK}", **(environment or {})}
        for _ in range(2):
            status, _ = run([str(word) for word in words], deadline_s, environment)
            if status is None:
                return True
            if status == 0:
                return False
        return True

    def first_that_fails(self, sources, fails):
        """The test that fails first; None. After it no other is begun."""
        failed = []

        def try_one(source):
            if not failed and fails(source):
                failed.append(source)

        with concurrent.futures.ThreadPoolExecutor(self.jobs) as pool:
            list(pool.map(try_one, sources))
        return failed[0] if failed else None

    def unit_fails(self, source, mutated=None, environment=None):
        program = WORK / "programs" / source[:-2]
        if pathlib.Path(source).stem in WRAPPED:
            program = self.build.link_program(source, *self.build.lib, mutated=mutated)
        return self.fails([program], environment=environment)

    def replay_fails(self, source, environment=None):
        words = [WORK / "programs" / source[:-2], TREE / "tests/fuzz/corpus" / pathlib.Path(source).stem]
        return self.fails(words, environment=environment)

    def sim_fails(self, mutant=None):
        if mutant and not self.build.compile_mutant(mutant, "fast"):
            return False
        self.build.link_sim(mutant and mutant.file)
        return self.fails([MUTANT / "sim", "--runs", SIM_RUNS], SIM_DEADLINE_S)

    def program_notices(self, mutant):
        """The first of those that enter the function that is changed; None."""
        file, changed = mutant.file, mutant.functions()

        def enters(program):
            return changed is None or self.coverage.enters(program, file, changed)

        units = sorted(filter(enters, self.build.units), key=lambda source: self.likeliness(file, source))
        notice = (self.first_that_fails(units, lambda source: self.unit_fails(source, file)) or
                  self.first_that_fails(filter(enters, self.build.fuzz), self.replay_fails))
        if notice:
            return notice.removeprefix("tests/unit/")
        return "the simulation" if file in self.build.core and enters("sim") and self.sim_fails(mutant) else None

    def pytest(self, words, is_mutant=True):
        return run([sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "-rfE", *words], INTEGRATION_DEADLINE_S,
                   {"SENTINEL_SPOA": str(WORK / "programs/spoa/main"),
                    "LD_LIBRARY_PATH": f"{MUTANT}:{WORK}" if is_mutant else str(WORK)})

    def integration_notices(self, file):
        """The first integration test that fails twice, and that the unchanged agent passes."""
        folder = max((folder for folder in INTEGRATION_TESTS if file.startswith(f"{folder}/")), key=len)
        names = INTEGRATION_TESTS[folder].split()
        return next(filter(None, (self.file_notices(f"tests/integration/{name}.py") for name in names)), None)

    def file_notices(self, path):
        skipped = []
        while True:
            status, output = self.pytest([path, *(f"--deselect={test}" for test in skipped)])
            if status == 0:
                return None
            failed = re.search(r"^(?:FAILED|ERROR) ([^ ]+::[^\n]*?)(?: - .*)?$", output, re.M)
            if status is None:
                return f"{path} hangs"
            if failed is None:
                sys.exit(f"mutation: the integration tests cannot be run\n{output}")
            test = failed.group(1)
            if test not in self.broken:
                self.broken[test] = self.pytest([test], is_mutant=False)[0] != 0
            if not self.broken[test] and self.pytest([test])[0] != 0:
                return test
            skipped.append(test)

    def check_unchanged(self):
        """Exits where anything fails without a mutant. Notes who enters what."""
        def note(program):
            return self.coverage.environment(program)

        shutil.rmtree(ENTERED, ignore_errors=True)
        failed = (self.first_that_fails(self.build.units, lambda source: self.unit_fails(source, environment=note(source))) or
                  self.first_that_fails(self.build.fuzz, lambda source: self.replay_fails(source, note(source))) or
                  (self.sim_fails() or self.fails([self.build.link_sim_entering(), "--runs", SIM_RUNS_ENTERED], SIM_DEADLINE_S,
                                                  note("sim"))) and "the simulation")
        if failed:
            sys.exit(f"mutation: {failed} fails already without a mutant")
        self.coverage.read([WORK / "libcore.so", WORK / "librest.so", *(MUTANT / name for name in WRAPPED)])

    def who_notices(self, mutant):
        """Who does; None. "" where it does not compile."""
        build = self.build
        for library in MUTANT.glob("*.so"):
            library.unlink()
        if not build.compile_mutant(mutant, "checked"):
            return ""
        if mutant.file == "spoa/main.c":
            return None
        build.link_library(MUTANT, build.library_of[mutant.file], mutant.file)
        return self.program_notices(mutant) or (self.with_integration and self.integration_notices(mutant.file)) or None


# ---- the account ----

class Account:
    def __init__(self):
        self.noticed = collections.Counter()
        self.total = collections.Counter()
        self.survivors = []
        shutil.rmtree(SURVIVORS, ignore_errors=True)
        SURVIVORS.mkdir()

    def add(self, mutant, notice):
        folder = str(pathlib.Path(mutant.file).parent)
        self.total[folder] += 1
        self.noticed[folder] += notice is not None
        if notice is None:
            self.survivors.append(mutant)
            (SURVIVORS / f"{len(self.survivors)}.diff").write_text(mutant.diff())

    def show(self):
        for mutant in self.survivors:
            print(f"\n--- survived ({mutant.kind})\n{mutant.diff()}", end="")
        print()
        for group in ("proto", "spoa/core", "spoa"):
            folders = [folder for folder in sorted(self.total) if (folder + "/").startswith(group + "/")]
            if group == "spoa":
                folders = [folder for folder in folders if not folder.startswith("spoa/core")]
                group = "spoa, without core"
            for folder in folders:
                self.show_row(f"  {folder}", [folder])
            if folders:
                self.show_row(group, folders)
        self.show_row("all", self.total)

    def show_row(self, name, folders):
        noticed, total = (sum(counter[folder] for folder in folders) for counter in (self.noticed, self.total))
        print(f"{name:<24} {noticed:4} of {total:4}  {100 * noticed / max(total, 1):5.1f} %")


def try_mutant(mutant, judge, account, number):
    """False where it is none: it does not compile, or to the same code."""
    began = time.monotonic()
    notice = judge.who_notices(mutant)
    if notice == "" or notice is None and judge.build.makes_same_code(mutant):
        print(f"      {mutant.kind:<10} {mutant.place():<48} {'the same code' if notice is None else 'does not compile'}", flush=True)
        return False
    account.add(mutant, notice)
    print(f"{number:4}  {mutant.kind:<10} {mutant.place():<48} {notice or 'NOBODY'}  ({time.monotonic() - began:.0f} s)", flush=True)
    return True


def main(diffs):
    count, seed = int(os.environ.get("COUNT") or 60), int(os.environ.get("SEED") or random.randrange(1000000))
    folders = (os.environ.get("FOLDERS") or "proto spoa").split()
    copy_tree()
    given = [read_diff(pathlib.Path(diff)) for diff in diffs]
    build = Build()
    judge = Judge(build, os.environ.get("INTEGRATION") != "0", int(os.environ.get("JOBS") or 1))
    print(f"mutation: building in {WORK.relative_to(ROOT)}", flush=True)
    build.compile_all()
    build.link_all()
    judge.check_unchanged()
    account = Account()
    if diffs:
        mutants, count = given, len(given)
    else:
        print(f"mutation: SEED={seed}")
        wanted = tuple(f"{folder}/" for folder in folders)
        mutants = draw([source for source in (*build.core, *build.rest) if f"{source}/".startswith(wanted)], seed)
    for mutant in mutants:
        if try_mutant(mutant, judge, account, account.total.total() + 1) and account.total.total() == count:
            break
    account.show()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
