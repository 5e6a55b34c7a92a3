"""What the Markdown files say of the tree and of the programs: links, files, commands, options, keys, events, metrics and
log lines. What programs print in a failover or in trouble is compared by test_failover_shown.py and test_troubleshooting.py."""

import fnmatch
import functools
import re
from pathlib import Path

import pytest
from cluster import ROOT
from markdown import anchors, documents
from rig import run_agent

FRONT_PAGE_MAX = 10_240  # bytes
DOCUMENTS = documents()
PAGES = {document.path.relative_to(ROOT).as_posix(): document for document in DOCUMENTS}
BLOCKS = [block for document in DOCUMENTS for block in document.blocks]
WORDS = [word for document in DOCUMENTS for word in document.words]
# Of other programs, or made by the reader.
FOREIGN = {"haproxy.cfg", "spoe.conf", "sentinel-spoa.conf", "sentinel.conf", "redis.conf", "valkey.conf", "values.yaml", "nodes.conf",
           "resolv.conf", "nsswitch.conf", "compose.yaml", "kubectl.yaml", "twemproxy.yml", "nutcracker.yml", "report.json", "report.md"}
SUFFIXES = "c|h|py|sh|md|conf|cfg|yml|yaml|json|html|svg|png|txt|scd|pml|rules|service"


def sources():
    """All C files of the programs."""
    return "\n".join(path.read_text() for folder in ("spoa", "proto") for path in sorted((ROOT / folder).rglob("*.[ch]")))


SOURCES = sources()


# ---- the front page ----

def test_front_page():
    text = (ROOT / "README.md").read_text()
    assert len(text.encode()) <= FRONT_PAGE_MAX
    questions = re.findall(r"^\|[^|]*\?[^|]*\| *\[", text, re.MULTILINE)
    assert len(questions) >= 20, "each question has its place"
    rows = re.findall(r"^\|(.*)\| `make failover-report` \|$", text, re.MULTILINE)
    numbers = re.findall(r"\d+ of \d+", "".join(rows))
    assert numbers, "the front page says what a failover costs"
    costs = (ROOT / "spoa/doc/failover.md").read_text()
    assert [number for number in numbers if number not in costs] == []


# ---- links and files ----

@functools.cache
def tree():
    """All files and folders, as paths from the top; folders end with a stroke."""
    outside = {"build", ".git", "node_modules", "__pycache__"}
    return [f"/{path.relative_to(ROOT)}{'/' if path.is_dir() else ''}" for path in ROOT.rglob("*") if not outside & set(path.relative_to(ROOT).parts)]


def is_there(word):
    """Seen from the document, or under its whole path or the end of it; a star stands for a part of a name."""
    name = word.text
    return (word.path.parent / name).exists() or any(fnmatch.fnmatchcase(path.rstrip("/"), f"*/{name.rstrip('/')}") for path in tree())


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
    missing = [f"{word.where}: {word.text}" for word in WORDS if looks_like_a_file(word.text) and not is_there(word)]
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


def is_agents_file(block):
    """Whether a block is an agent's file, or a part of one."""
    lines = [line for line in block.text.splitlines() if line and not line.startswith("#")]
    return (any(re.match(r"\[(agent|sentinels|nodes|haproxy|service)\b", line) for line in lines)
            and all(re.match(r"\[.*\]|[a-z-]+ *= ", line) for line in lines))


AGENTS_FILES = [block for block in BLOCKS if is_agents_file(block)]


def test_keys():
    wrong = [f"{block.where}: {key}" for block in AGENTS_FILES for key in re.findall("^([a-z-]+) *=", block.text, re.MULTILINE) if key not in keys()]
    wrong += [f"{word.where}: {word.text}" for word in WORDS
              if re.match(r"[a-z]+(-[a-z]+)+ = ", word.text) and word.text.split(" = ")[0] not in keys()]
    assert AGENTS_FILES and not wrong, "\n".join(wrong)


def test_whole_files_are_valid(tmp_path):
    """Those with all sections that an agent needs."""
    whole = [block for block in AGENTS_FILES if "[service" in block.text and ("[sentinels" in block.text or "[nodes" in block.text)]
    for block in whole:
        path = tmp_path / "agent.conf"
        path.write_text(block.text)
        done = run_agent("-f", path, "-t")
        assert done.returncode == 0, f"{block.where}: {done.stderr}"
    assert whole


def test_events():
    known = set(re.findall(r'X\([A-Z_]+, "([a-z-]+)"', (ROOT / "spoa/core/base/events.h").read_text()))
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

def test_log_lines():
    """Their fields are fields that some event has."""
    names = set(re.findall(r'log_\w+\("([a-z-]+)"', SOURCES)) | {"ts", "level", "event"}
    lines = [(block.where, line) for block in BLOCKS for line in block.text.splitlines() if re.match(r"ts=\S+ level=\S+ event=", line)]
    wrong = [f"{where}: {field}" for where, line in lines for field in re.findall(r'(?:^| )([a-z-]+)=(?:"[^"]*"|\S+)', line) if field not in names]
    assert lines and not wrong, "\n".join(wrong)
