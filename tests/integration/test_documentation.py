"""What the Markdown files say of the tree and of the programs: links, files, commands, options, keys, events, metrics, and
what the programs print.

A block of code whose text a program printed has a comment before it, `<!-- printed by: NAME -->`. NAME is a command that can
be run here ("sentinel-spoa haproxy-conf"), a file of the tree of which the block is a part, or a name of RECORDED: then each
line must be one that the recorded failover printed too, but for numbers and names. A line "[...]" leaves something out."""

import fnmatch
import functools
import re
import shlex
import subprocess
from pathlib import Path

import pytest
from cluster import ROOT, Cluster
from markdown import anchors, documents
from observers import Writer
from process import wait_until
from rig import agent_words, check_clean, run_agent

DOCUMENTS = documents()
PAGES = {document.path.relative_to(ROOT).as_posix(): document for document in DOCUMENTS}
BLOCKS = [block for document in DOCUMENTS for block in document.blocks]
WORDS = [word for document in DOCUMENTS for word in document.words]
# Of other programs, or made by the reader.
FOREIGN = {"haproxy.cfg", "spoe.conf", "sentinel-spoa.conf", "sentinel.conf", "redis.conf", "valkey.conf", "values.yaml", "nodes.conf",
           "resolv.conf", "nsswitch.conf", "compose.yaml", "kubectl.yaml", "twemproxy.yml", "nutcracker.yml", "report.json", "report.md"}
SUFFIXES = "c|h|py|sh|md|conf|cfg|yml|yaml|json|html|svg|png|txt|scd|pml|rules|service"
RECORDED = ("log", "haproxy log", "status", "explain", "check", "rehearse", "demo", "init")


def sources():
    """All C files of the programs."""
    return "\n".join(path.read_text() for folder in ("spoa", "proto") for path in sorted((ROOT / folder).rglob("*.[ch]")))


SOURCES = sources()


# ---- links and files ----

@functools.cache
def tree():
    """All files and folders, as paths from the top; folders end with a stroke."""
    outside = {"build", ".git", "node_modules", "__pycache__"}
    return [f"/{path.relative_to(ROOT)}{'/' if path.is_dir() else ''}" for path in ROOT.rglob("*") if not outside & set(path.relative_to(ROOT).parts)]


def is_there(name):
    """Under its whole path or the end of it; a star stands for a part of a name."""
    return any(fnmatch.fnmatchcase(path.rstrip("/"), f"*/{name.rstrip('/')}") for path in tree())


@pytest.mark.parametrize("page", PAGES)
def test_links(page):
    document, broken = PAGES[page], []
    for link in document.links:
        target, _, anchor = link.text.partition("#")
        if re.match("[a-z]+:", target):
            continue
        path = (document.path.parent / target).resolve() if target else document.path
        if not path.exists() or (anchor and anchor not in anchors(path)):
            broken.append(f"{link.where}: {link.text}")
    assert not broken


def looks_like_a_file(word):
    return (re.fullmatch(rf"[a-zA-Z*.][\w*.-]*(/[\w*.-]+)+/?|[\w*-]+\.({SUFFIXES})|[\w-]+/", word) and not re.match("build/|be_|fe_|txn[.]|.*/NAME", word)
            and Path(word).name not in FOREIGN)


def test_files_exist():
    missing = [f"{word.where}: {word.text}" for word in WORDS if looks_like_a_file(word.text) and not is_there(word.text)]
    assert not missing, "\n".join(missing)


# ---- commands ----

def commands(document):
    """(where, line) of what is to be typed: the blocks' lines, and what stands in backquotes."""
    for block in document.blocks:
        for line in block.text.replace("\\\n", " ").splitlines():
            yield block.where, re.sub(r"^[$#] +", "", line.strip())
    for word in document.words:
        yield word.where, word.text


@pytest.fixture(scope="module")
def options():
    """All that the manual's and the help's words begin with two dashes."""
    text = run_agent("--help").stdout + run_agent("init", "--help").stdout + run_agent("haproxy-conf", "--help").stdout
    return set(re.findall(r"--[a-z][a-z-]+", text + (ROOT / "spoa/man/sentinel-spoa.1.scd").read_text().replace("\\", "")))


def test_make_targets():
    targets = set(re.findall(r"^([\w-]+(?: [\w-]+)*):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    known = {name for line in targets for name in line.split()}
    wrong = [f"{where}: make {found[1]}" for document in DOCUMENTS for where, line in commands(document)
             for found in [re.match(r"(?:sudo )?make ((?:[A-Z]+=\S+ )*[a-z][\w-]*)", line)] if found and found[1].split()[-1] not in known]
    assert not wrong, "\n".join(wrong)


def test_commands_and_options(options):
    known = {"status", "explain", "reload", "check", "rehearse", "haproxy-conf", "init"}
    wrong = []
    for document in DOCUMENTS:
        for where, line in commands(document):
            found = re.match(r"(?:\S+/)?sentinel-spoa(?! \d)((?: (?:-f \S+|[\w-]+))*)(.*)", line)
            if not found:
                continue
            words = [word for word in re.split(r"[^\w=-]+", re.split(r"[|>;&]", line)[0]) if word.startswith("--")]
            wrong += [f"{where}: {line}: {word}" for word in words if word.split("=")[0] not in options]
            first = re.sub(r"-f \S+", "", found[1]).split()
            if first and first[0] not in known and not first[0].startswith("-") and document.path.name != "clients.md" and re.match(r"sentinel-spoa ", line) and "=" not in line:
                wrong.append(f"{where}: {line}: {first[0]} is no command")
    assert not wrong, "\n".join(wrong)


# ---- keys, events, metrics ----

@functools.cache
def keys():
    """The keywords of the agent's file, from the table in the sources."""
    found = {name for path in (ROOT / "spoa/core/config").glob("config_keyword*.c")
             for name in re.findall(r'\{CONFIG_[A-Z]+, "([a-z-]+)"', path.read_text())}
    assert len(found) > 60
    return found


def own_lines(block):
    """The lines of a block that is, or is a part of, an agent's file."""
    return [line for line in block.text.splitlines() if re.match(r"[a-z-]+ = ", line)] if block.language == "ini" else []


def test_keys():
    """In blocks of the language "ini"."""
    wrong = [f"{block.where}: {line}" for block in BLOCKS for line in own_lines(block) if line.split(" = ")[0] not in keys()]
    wrong += [f"{word.where}: {word.text}" for word in WORDS
              if re.match(r"[a-z]+(-[a-z]+)+ = ", word.text) and word.text.split(" = ")[0] not in keys()]
    assert not wrong, "\n".join(wrong)


def test_events():
    known = set(re.findall(r'"([a-z]+(?:-[a-z0-9]+)*)"', SOURCES))
    wrong = [f"{name}: event={event}" for name, document in PAGES.items() for event in re.findall(r'event"?[=:] ?"?([a-z-]+)', document.text)
             if event not in known]
    assert not wrong, "\n".join(wrong)


def test_metrics():
    known = {f"redis_spoa_{name}" for name in re.findall(r'"(\w+)"|\bX\((\w+),', SOURCES) for name in name}
    wrong = [f"{name}: {metric}" for name, document in PAGES.items()
             for metric in re.findall(r"\bredis_spoa_\w+", document.text)
             if re.sub("_(bucket|sum|count)$", "", metric) not in known and metric not in known]
    assert not wrong, "\n".join(wrong)


# ---- what programs print ----

def shape(line):
    """Without numbers, addresses and numbered names: what stays the same from run to run."""
    line = re.sub(r"unix:\S+|/[\w/.-]+", "/#", line)
    line = re.sub(r"\d[\d:.T-]*Z?(?= |$|[^\w])|\d[\d.:]*", "#", line)
    line = re.sub(r"# (ms|s|min|h)\b", "#", re.sub(r"\b(\w+?)s?( waits?| waited)\b", r"\1 waited", line))
    return re.sub(r"\s+", " ", re.sub(r"[+-]#", "#", line)).strip()


class Record:
    """One failover with the files of the recipe runtime-api, and what all programs said of it."""

    def __init__(self):
        self.texts = {name: [] for name in RECORDED}

    def add(self, name, text):
        self.texts[name].append(text)

    def shapes(self, name):
        return {shape(line) for text in self.texts[name] for line in text.splitlines()}

    def ask(self, agent, name, *words):
        self.add(name, run_agent("-f", agent.config_path, *words, timeout=60).stdout)


@pytest.fixture(scope="module")
def record():
    made = Record()
    demo = subprocess.run(["python3", ROOT / "tests/tools/demo.py"], capture_output=True, text=True, timeout=120, check=True)
    made.add("demo", demo.stdout)
    with Cluster(recipe="runtime-api") as cluster:
        cluster.park = None
        cluster.start()
        for words in (("status",), ("explain",), ("check",)):
            made.ask(cluster.agent, words[0], *words)
        old = next(node for node in cluster.redis if node.role() == "master")
        with Writer(cluster.haproxy.address):
            old.kill()
            wait_until(lambda: "waits" in run_agent("-f", cluster.agent.config_path, "status").stdout, 10, "a client waits")
            made.ask(cluster.agent, "status", "status")
            cluster.wait_failover(old)
        cluster.wait_served()
        made.ask(cluster.agent, "status", "status")
        old.start()
        wait_until(old.in_sync, 60, "the old master is a replica")
        made.ask(cluster.agent, "rehearse", "rehearse", "mymaster", "--through", cluster.haproxy.where, "--yes")
        for words in (("status",), ("explain",), ("check",)):
            made.ask(cluster.agent, words[0], *words)
        made.add("log", cluster.agent.log_text())
        made.add("haproxy log", cluster.haproxy.log_text())
        check_clean(cluster.agent)
    return made


def is_part_of(block, text):
    """Line by line, in order; "[...]" and blank lines leave something out."""
    rest = iter(line.rstrip() for line in text.splitlines())
    return all(line.rstrip() in rest for line in block.text.splitlines() if line.strip() not in ("", "[...]"))


def printed(command):
    return subprocess.run([*agent_words(), *shlex.split(command)[1:]], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False).stdout


def test_printed_by_a_command_or_from_a_file():
    marked = [block for block in BLOCKS if block.source and block.source not in RECORDED]
    wrong = [block.where for block in marked
             if not is_part_of(block, printed(block.source) if block.source.startswith("sentinel-spoa ") else (ROOT / block.source).read_text())]
    assert marked and not wrong


def test_printed_in_a_failover(record):
    marked = [block for block in BLOCKS if block.source in RECORDED]
    wrong = [f"{block.where}: {line}" for block in marked for line in block.text.splitlines()
             if line.strip() not in ("", "[...]") and not line.startswith("$ ") and shape(line) not in record.shapes(block.source)]
    assert marked and not wrong


def test_what_was_printed_is_marked():
    """A block that shows a log line of the agent says where it comes from."""
    assert not [block.where for block in BLOCKS if re.search(r"^ts=.* event=", block.text, re.MULTILINE) and not block.source]
