#!/usr/bin/python3
"""run-tests.py SUITE:VARIANT...: runs test suites that are built already, and counts.

unit         every program in build/VARIANT/tests/ that has a source in tests/unit/
sim          build/VARIANT/sim, RUNS_VARIANT scripts (environment); counts as one test
mutants      tests/sim/mutants.sh: the simulation must catch every fault that is put into the rule; one test
replay       every target in build/VARIANT/fuzz over its tests/fuzz/corpus; counts as one test each
integration  pytest over tests/integration with build/VARIANT/sentinel-spoa; INTEGRATION and SKIP (environment) say which
             files, by their names without ".py"; with SHOW=1 what the tests print is shown

VARIANT is release, asan, cov, or valgrind (the release build under valgrind). The last line is
"N passed, M failed" (", K skipped" where K > 0); exit status 1 where M > 0 or nothing ran at all.
"""
import concurrent.futures
import os
import pathlib
import shutil
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree

ROOT = pathlib.Path(__file__).resolve().parents[2]
REPORTS = ROOT / "build" / "reports"
# Longer than any of them takes on a slow machine under valgrind: only a hang gets there.
PROGRAM_DEADLINE_S = 600
INTEGRATION_DEADLINE_S = 1800
# Integration tests that run beside each other, in groups that take about the same time; the others are one more group.
GROUPS = {
    "scripted": ("test_acl", "test_autoreload", "test_cli", "test_hooks", "test_http", "test_manager", "test_reload",
                 "test_rule", "test_sandbox", "test_sentinels", "test_spop", "test_tls"),
    "sessions": ("test_cutting", "test_hangs", "test_silence"),
    "faults": ("test_cluster", "test_demo", "test_mistakes", "test_monitoring", "test_partitions", "test_scenarios", "test_soak"),
    "switches": ("test_clients", "test_failover", "test_failover_shown", "test_haproxy_log", "test_haproxy_reload", "test_replicas"),
    "addresses": ("test_addresses", "test_ipv6", "test_keepalived", "test_listeners", "test_names", "test_recipes", "test_restart",
                  "test_spop_tls", "test_truth"),
    "guides": ("test_ghosts", "test_init", "test_page", "test_real_clients", "test_rehearse", "test_troubleshooting"),
}
VALGRIND = ["valgrind", "-q", "--error-exitcode=99", "--leak-check=full", "--show-leak-kinds=definite,indirect,possible",
            "--errors-for-leak-kinds=definite,indirect,possible", "--child-silent-after-fork=yes"]
SANITIZERS = {"ASAN_OPTIONS": "detect_leaks=1:strict_string_checks=1:detect_stack_use_after_return=1",
              "UBSAN_OPTIONS": "print_stacktrace=1"}


class Tally:
    def __init__(self):
        self.passed = self.failed = self.skipped = 0

    def add(self, other):
        self.passed += other.passed
        self.failed += other.failed
        self.skipped += other.skipped

    def __str__(self):
        text = f"{self.passed} passed, {self.failed} failed"
        return text + f", {self.skipped} skipped" if self.skipped else text


def wrap(variant):
    """Where the variant's build is, and what its programs are run under."""
    return ("release", VALGRIND) if variant == "valgrind" else (variant, [])


def run(words, environment, deadline_s):
    """Exit status (negative: ended by that signal; None: hung) and all output."""
    try:
        done = subprocess.run(words, cwd=ROOT, env={**os.environ, **SANITIZERS, **environment}, timeout=deadline_s,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        return done.returncode, done.stdout.decode(errors="replace")
    except subprocess.TimeoutExpired as hung:
        return None, (hung.stdout or b"").decode(errors="replace")


def fate(status):
    if status is None:
        return "hung"
    return f"ended by signal {-status}" if status < 0 else f"exit status {status}"


def read_reports(folder):
    """Counts what the JUnit files in `folder` say; returns also the (name, message) of the failures."""
    tally, failures = Tally(), []
    for report in sorted(folder.glob("*.xml")):
        try:
            cases = list(ElementTree.parse(report).iter("testcase"))
        except ElementTree.ParseError:
            failures.append((report.name, "unreadable report"))
            tally.failed += 1
            continue
        for case in cases:
            broken = [part for part in case if part.tag in ("failure", "error")]
            if broken:
                tally.failed += 1
                failures.append((case.get("name"), "\n".join((part.text or part.get("message") or "").strip()
                                                             for part in broken)))
            elif case.find("skipped") is not None:
                tally.skipped += 1
            else:
                tally.passed += 1
    return tally, failures


def show(name, tally, seconds, details=()):
    """In one piece, for two suites may run at once."""
    lines = ["      " + line for text in details for line in text.rstrip().splitlines()]
    print("\n".join([f"  {name:<40} {tally}  ({seconds:.1f} s)", *lines]) + "\n", end="", flush=True)


def run_unit_program(name, program, words):
    """One cmocka program. What it printed is shown only where something is wrong."""
    folder = REPORTS / name.replace("/", "-")
    folder.mkdir(parents=True)
    began = time.monotonic()
    status, output = run([*words, str(program)], {"CMOCKA_MESSAGE_OUTPUT": "XML",
                                                  "CMOCKA_XML_FILE": str(folder / "%g.xml")}, PROGRAM_DEADLINE_S)
    tally, failures = read_reports(folder)
    details = [f"{test}: {message}" for test, message in failures]
    if status != 0 and tally.failed == 0 or tally.passed + tally.failed + tally.skipped == 0:
        tally.failed += 1
        details.append(f"{program.name}: {fate(status)}, {tally.passed} tests reported")
    if tally.failed:
        details.append(output)
    show(name, tally, time.monotonic() - began, details)
    return tally


def run_unit(variant):
    built, words = wrap(variant)
    total = Tally()
    for source in sorted((ROOT / "tests" / "unit").glob("**/test_*.c")):
        name = source.relative_to(ROOT / "tests" / "unit").with_suffix("")
        total.add(run_unit_program(f"{variant}/{name}", ROOT / "build" / built / "tests" / name, words))
    return total


def run_sim(variant):
    built, words = wrap(variant)
    tally = Tally()
    if not any((ROOT / "tests" / "sim").glob("*.c")):
        return tally
    runs = os.environ.get(f"RUNS_{variant}", "")
    words = [*words, str(ROOT / "build" / built / "sim"), *(["--runs", runs] if runs else [])]
    began = time.monotonic()
    # A thousand scripts take a fifth of a second; a slow machine gets fifty times as long.
    status, output = run(words, {}, PROGRAM_DEADLINE_S + int(runs or 0) // 100)
    tally.passed, tally.failed = (1, 0) if status == 0 else (0, 1)
    show(f"{variant}/sim", tally, time.monotonic() - began, [output] if status == 0 else [output, f"sim: {fate(status)}"])
    return tally


def run_replay(variant):
    """What the fuzz targets were once fed with, among it all that ever broke one."""
    built, words = wrap(variant)
    total = Tally()
    for source in sorted((ROOT / "tests" / "fuzz").glob("fuzz_*.c")):
        began = time.monotonic()
        program, corpus = ROOT / "build" / built / "fuzz" / source.stem, ROOT / "tests" / "fuzz" / "corpus" / source.stem
        status, output = run([*words, str(program), str(corpus)], {}, PROGRAM_DEADLINE_S)
        tally = Tally()
        tally.passed, tally.failed = (1, 0) if status == 0 else (0, 1)
        show(f"{variant}/{source.stem}", tally, time.monotonic() - began,
             [output] if status == 0 else [output, f"{source.stem}: {fate(status)}"])
        total.add(tally)
    return total


def run_mutants(variant):
    tally = Tally()
    began = time.monotonic()
    status, output = run([str(ROOT / "tests" / "sim" / "mutants.sh")], {}, PROGRAM_DEADLINE_S)
    tally.passed, tally.failed = (1, 0) if status == 0 else (0, 1)
    show(f"{variant}/mutants", tally, time.monotonic() - began,
         output.splitlines()[-1:] if status == 0 else [output, f"mutants: {fate(status)}"])
    return tally


def start_pytest(folder, name, files, agent):
    """Its output goes to a file, so that two of them do not mix."""
    words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junitxml={folder / name}.xml",
             *(["-rP"] if os.environ.get("SHOW") else []), *files]
    with open(folder / f"{name}.log", "wb") as log:
        return subprocess.Popen(words, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                                env={**os.environ, **SANITIZERS, "SENTINEL_SPOA": agent})


def wait_pytest(process, deadline):
    """Its exit status, None where it hung."""
    try:
        return process.wait(max(0.0, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        process.terminate()
        process.wait()
        return None


def group_of(path):
    return next((name for name, stems in GROUPS.items() if path.stem in stems), "others")


def run_integration(variant):
    """Groups beside each other: most of their time they wait."""
    build, wrapper = wrap(variant)
    agent = " ".join([*wrapper, f"build/{build}/sentinel-spoa"])
    folder = REPORTS / f"{variant}-integration"
    folder.mkdir(parents=True)
    began = time.monotonic()
    wanted, skipped = os.environ.get("INTEGRATION", "").split(), os.environ.get("SKIP", "").split()
    groups = {}
    for path in sorted((ROOT / "tests/integration").glob("test_*.py")):
        if path.stem not in skipped and (not wanted or path.stem in wanted):
            groups.setdefault(group_of(path), []).append(path)
    running = {name: start_pytest(folder, name, files, agent) for name, files in groups.items()}
    statuses = {name: wait_pytest(process, began + INTEGRATION_DEADLINE_S) for name, process in running.items()}
    tally, _ = read_reports(folder)
    details = []
    for name, status in statuses.items():
        if status != 0 or os.environ.get("SHOW"):
            print((folder / f"{name}.log").read_text(errors="replace"))
        if status != 0:
            details.append(f"pytest, {name}: {fate(status)}")
    if details and tally.failed == 0 or tally.passed + tally.failed + tally.skipped == 0:
        tally.failed += 1
    show(f"{variant}/integration", tally, time.monotonic() - began, details)
    return tally


def run_all(suites):
    """The tally of each. The integration tests come last and alone; of the others two run beside each other, for most of them
    keep one processor busy, or wait."""
    runners = {"unit": run_unit, "sim": run_sim, "mutants": run_mutants, "replay": run_replay, "integration": run_integration}
    pairs = [suite.split(":") for suite in suites]
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        yield from pool.map(lambda pair: runners[pair[0]](pair[1]), (pair for pair in pairs if pair[0] != "integration"))
    yield from (runners[kind](variant) for kind, variant in pairs if kind == "integration")


def main(suites):
    shutil.rmtree(REPORTS, ignore_errors=True)
    total = Tally()
    for tally in run_all(suites):
        total.add(tally)
    print(total)
    return 1 if total.failed or not total.passed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
