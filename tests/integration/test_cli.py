"""The command line: output and exit codes; and that the shipped and documented configuration is the real one."""

import json
import re
import signal
import subprocess
import time
import urllib.request
from pathlib import Path

import pytest
from certificates import self_signed
from cluster import ROOT, SHIPPED, Agent
from fake_sentinel import FakeSentinel
from own_etc import OwnEtc, needs_root
from process import wait_until
from rig import SERVERS, Rig, agent_words, check_clean, run_agent
from spop_client import ask_once

GOOD = """\
[agent]
listen = 127.0.0.1:0
[sentinels]
address = 127.0.0.1:26379
[service mymaster]
server = R1 127.0.0.1:7001
"""

# Every keyword there is, none with its default; two groups, because the two kinds of password exclude each other.
FULL = """\
; a comment
# another
[agent]
listen = 127.0.0.1:9100 ; inline
listen = [::1]:9100
listen = unix:/tmp/never.sock mode=640 owner=root group=root
check = 127.0.0.1:9013
http = 127.0.0.1:9912
takeover = unix:/tmp/never-taken.sock mode=600
allow = 10.0.0.0/8
max-connections = 500
idle-timeout = 1m
log-level = debug
log-format = json
syslog = /dev/log
drain-timeout = 2m
park-max = 500
user = nobody
group = nogroup
sandbox = no
autoreload = yes
[haproxy]
runtime-api = /run/haproxy/admin.sock
backend = bk_redis
[sentinels]
source = sentinel
address = 127.0.0.1:26379
address = Sentinel-2.example.org:26379
address = [::ffff:10.0.0.3]:26379
username = haproxy
password = ${TEST_PASSWORD}
poll = 2s
reply-timeout = 250
connect-timeout = 300ms
vote-life = 3s
subscribe = no
TLS_KEYS
[sentinels second]
address = 127.0.0.1:26380
password-file = PASSWORD_FILE
[service mymaster]
monitor = redis-1
server = R1 10.0.0.1:6379
server = R2 redis-2.example.org:6379 weight=3 alias=10.0.0.2:6379
quorum = 3
check-mode = master
check-pulse = 2s
check-delay = 300ms
replicas = yes
max-lag = 10s
replica-fallback = master
park = 2s
gone-clients = serve
role-check = require
username = probe
password = ${TEST_PASSWORD}
debounce = 2s
witness = yes
keep = 30s
keep-when = refused
fence = 10s
early-fence = yes
early-fence-max = 2s
on-switch = /bin/true one two
on-switch-timeout = 5s
on-switch-retry = 2s
TLS_KEYS
[service other]
sentinels = second
allow-any-address = yes
[nodes by-hand]
source = replication
[service two]
nodes = by-hand
when-alone = name
server = T1 10.0.0.1:7001
server = T2 10.0.0.2:7001
[nodes cluster]
source = cluster
address = 10.0.0.3:7001
address = 10.0.0.4:7001
[service shard]
nodes = cluster
slot = 5461
server = N1 10.0.0.3:7001
"""


@pytest.fixture(name="full")
def write_full(tmp_path, monkeypatch):
    """The path of a file that uses every keyword."""
    monkeypatch.setenv("TEST_PASSWORD", "a secret; with ${HOME}")
    secret = tmp_path / "password"
    secret.write_text("another secret\n")
    path = tmp_path / "full.conf"
    pair = self_signed(tmp_path, "own", "DNS:own.test")
    keys = (f"tls = yes\ntls-ca = {pair.certificate}\ntls-cert = {pair.certificate}\ntls-key = {pair.key}\n"
            "tls-server-name = redis.example.org\n")
    path.write_text(FULL.replace("PASSWORD_FILE", str(secret)).replace("TLS_KEYS\n", keys))
    return path


def write(tmp_path, text):
    path = tmp_path / "test.conf"
    path.write_text(text)
    return path


# ---- -t ----

def test_good_configuration(tmp_path):
    path = write(tmp_path, GOOD.replace("26379\n", "26379\naddress = 127.0.0.1:26380\naddress = 127.0.0.1:26381\n"))
    done = run_agent("-t", "-f", path)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{path}: configuration is valid\n", "")


def test_valid_but_unwise(tmp_path):
    path = write(tmp_path, GOOD)
    done = run_agent("-t", "-f", path)
    assert (done.returncode, done.stdout) == (0, f"{path}: configuration is valid\n")
    assert done.stderr == f"warning: {path}:3: one Sentinel only: nothing is named while it is down\n"


def test_all_errors_at_once(tmp_path):
    """Every mistake of the file in one run, each with its line, misspelt words with what was probably meant."""
    path = write(tmp_path, """\
[agent]
listen = nonsense
logg-level = info
log-format = xml
[sentinels]
address = 127.0.0.1:26379
addres = 127.0.0.1:26380
poll = often
vote-life = 1s
vote-life = 2s
[service mymaster]
server = R1 10.0.0.1:6379
server = R1 10.0.0.2:6379
quorun = 2
[servise other]
[service third]
server = R1 10.0.0.1:6379
sentinels = nowhere
""")
    done = run_agent("-f", path, "-t")
    assert (done.returncode, done.stdout) == (2, "")
    found = {}
    for line in done.stderr.splitlines():
        where, number, message = line.split(":", 2)
        assert where == str(path)
        found.setdefault(int(number), []).append(message)
    expected = {2: "'listen'", 3: "unknown key 'logg-level' in [agent], did you mean 'log-level'?", 4: "'log-format'",
                7: "unknown key 'addres' in [sentinels], did you mean 'address'?", 8: "'poll'", 10: "'vote-life'",
                14: "unknown key 'quorun' in [service mymaster], did you mean 'quorum'?",
                15: "unknown section [servise other], did you mean [service other]?"}
    for number, text in expected.items():
        assert any(text in message for message in found.get(number, [])), f"line {number}: {done.stderr}"
    assert "'R1'" in done.stderr and "[sentinels nowhere]" in done.stderr


@pytest.mark.parametrize("text, said", [
    ("", "no section [sentinels]"),
    (GOOD.replace("[sentinels]\naddress = 127.0.0.1:26379\n", ""), "[sentinels]"),
    (GOOD.replace("address = 127.0.0.1:26379\n", ""), "address"),
    (GOOD.replace("server = R1 127.0.0.1:7001\n", ""), "server"),
    (GOOD + "quorum = 2\n", "quorum"),
    (GOOD + "quorum = 0\n", "quorum"),
    (GOOD.replace("26379\n", "26379\naddress = 127.0.0.1:26379\n"), "127.0.0.1:26379"),
    (GOOD.replace("[service", "vote-life = 1s\n[service"), "vote-life"),
    (GOOD.replace("[service", "username = haproxy\n[service"), "username"),
    (GOOD.replace("[service", "password-file = /nowhere/at/all\n[service"), "/nowhere/at/all"),
    (GOOD.replace("[service", "poll = ${NO_SUCH_VARIABLE}\n[service"), "NO_SUCH_VARIABLE"),
    (GOOD.replace("7001", "0"), "server"),
    (GOOD.replace("7001", "65536"), "server"),
    (GOOD.replace("R1", "R 1"), "server"),
    (GOOD + "[service mymaster]\nserver = R1 10.0.0.1:6379\n", "[service mymaster]"),
    (GOOD.replace("[agent]", "listen = 127.0.0.1:1\n[agent]"), "before any section"),
    ("this is no configuration\n" + GOOD, ":1:"),
])
def test_bad_configuration(tmp_path, text, said):
    path = write(tmp_path, text)
    for options in (["-t"], []):  # starting is refused as well, for the same reason
        done = run_agent("-f", path, *options)
        assert (done.returncode, done.stdout) == (2, "")
        assert said in done.stderr
        assert all(line.startswith(f"{path}:") for line in done.stderr.splitlines())


def test_missing_file():
    done = run_agent("-f", "/nowhere/at/all.conf")
    assert (done.returncode, done.stdout) == (2, "")
    assert "/nowhere/at/all.conf" in done.stderr and "No such file" in done.stderr


# ---- --dump-config ----

def test_dump_parses_again_and_says_the_same(tmp_path, full):
    first = run_agent("-f", full, "--dump-config")
    assert (first.returncode, first.stderr) == (0, "")
    assert "secret" not in first.stdout
    again = run_agent("-f", write(tmp_path, first.stdout), "--dump-config")
    assert (again.returncode, again.stdout, again.stderr) == (0, first.stdout, "")


def test_dump_has_every_value(full):
    lines = run_agent("-f", full, "--dump-config").stdout.splitlines()
    for line in ("listen = 127.0.0.1:9100", "listen = [::1]:9100",
                 "listen = unix:/tmp/never.sock mode=640 owner=root group=root", "log-level = debug",
                 "log-format = json", "drain-timeout = 120000ms", "address = sentinel-2.example.org:26379",
                 "address = 10.0.0.3:26379", "username = haproxy", "poll = 2000ms", "reply-timeout = 250ms",
                 "connect-timeout = 300ms", "vote-life = 3000ms", "subscribe = no", "monitor = redis-1",
                 "server = R2 redis-2.example.org:6379 alias=10.0.0.2:6379 weight=3", "quorum = 3", "allow-any-address = yes", "sentinels = second"):
        assert line in lines


def keywords(path):
    """The keywords that --dump-config knows, from a file that uses all."""
    dump = run_agent("-f", path, "--dump-config").stdout
    return set(re.findall(r"^([a-z-]+) = ", dump, re.MULTILINE))


def test_the_dump_knows_all_that_the_test_file_uses(full):
    assert set(re.findall(r"^([a-z-]+) = ", FULL, re.MULTILINE)) <= keywords(full)


# ---- options ----

def test_version():
    for option in ("-V", "--version"):
        done = run_agent(option)
        assert (done.returncode, done.stderr) == (0, "")
        assert re.fullmatch(r"sentinel-spoa \d+\.\d+\.\d+.*\nTLS: OpenSSL .*\n", done.stdout)


def test_help():
    for option in ("-h", "--help"):
        done = run_agent(option)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.startswith("usage: sentinel-spoa")
        for word in ("-f", "-t", "--dump-config", "-V", "-h", "--sentinel", "--service", "--server", "--listen"):
            assert word in done.stdout


@pytest.mark.parametrize("arguments", [
    ["--frobnicate"], ["-x"], ["-f"], ["stray"], ["--server", "R1=10.0.0.1:6379"],
    ["--sentinel", "127.0.0.1:26379"], ["--sentinel", "nonsense", "--service", "a", "--server", "R1=10.0.0.1:6379"],
    ["--sentinel", "127.0.0.1:26379", "--service", "a", "--server", "R1"],
    ["--sentinel", "127.0.0.1:26379", "--park", "3s", "--service", "a", "--server", "R1=10.0.0.1:6379"],
    ["--sentinel", "127.0.0.1:26379", "--service", "a", "--server", "R1=10.0.0.1:6379", "--park", "soon"],
    ["-f", str(SHIPPED / "sentinel-spoa.conf"), "--service", "a"],
])
def test_bad_command_line(arguments):
    done = run_agent(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.strip()


# ---- the file that is read if none is named ----

STANDARD = "/etc/sentinel-spoa.conf"
OF_A_FILE = (["-t"], ["--dump-config"], ["status"], ["reload"], ["check"], ["haproxy-conf"], ["--healthcheck"], ["--readycheck"], [])


def with_etc(tmp_path, *arguments, text=None):
    """The agent with an /etc that has this file, or else surely none."""
    etc = OwnEtc(tmp_path)
    if text is not None:
        (etc.folder / "sentinel-spoa.conf").write_text(text)
    elif Path(STANDARD).exists():
        pytest.skip(f"this machine has {STANDARD}")
    return subprocess.run([*etc.words(), *agent_words(*arguments)], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=30, check=False)


@needs_root
@pytest.mark.parametrize("arguments", OF_A_FILE, ids=" ".join)
def test_the_standard_file_is_read(tmp_path, arguments):
    """All of them find the mistake in it."""
    done = with_etc(tmp_path, *arguments, text="[agent]\nx = 1\n")
    assert (done.returncode, done.stdout) == (2, "")
    assert f"{STANDARD}:2: unknown key 'x' in [agent]" in done.stderr


@needs_root
@pytest.mark.parametrize("arguments", OF_A_FILE, ids=" ".join)
def test_there_is_no_standard_file(tmp_path, arguments):
    done = with_etc(tmp_path, *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (f"{STANDARD}: cannot open: No such file or directory\n{STANDARD}: it is read because no '-f FILE' names "
                           "another; '--help' shows how to start without a file\n")


@needs_root
def test_the_log_says_first_which_file_is_used(tmp_path):
    done = with_etc(tmp_path, text=GOOD.replace("127.0.0.1:0", "240.0.0.1:9012"))
    assert done.returncode == 1
    assert re.search(rf"event=starting configuration={STANDARD}$", done.stderr.splitlines()[0])


# ---- starting and stopping ----

class QuickStart(Agent):
    """The agent without a file."""

    def __init__(self, directory, arguments):
        super().__init__(directory)
        self.arguments = arguments

    def command(self):
        return [*self.binary, *self.arguments]

    def ready(self):
        line = self.find_log(event="listening", since=self.started_at)
        self.address = line and line["address"]
        return bool(line)


def test_quick_start(tmp_path):
    fakes = [FakeSentinel(SERVERS["R1"]) for _ in range(3)]
    for fake in fakes:
        fake.masters["other"] = SERVERS["R2"]
    arguments = ["--listen", "127.0.0.1:0", *(word for fake in fakes for word in ("--sentinel", fake.where)),
                 "--service", "mymaster", "--server", "R1=127.0.0.1:7001", "--server", "R2=127.0.0.1:7002",
                 "--service", "other", "--server", "only=127.0.0.1:7002"]
    agent = QuickStart(tmp_path, arguments)
    try:
        agent.start()
        wait_until(lambda: ask_once(agent.address)["master"] == "R1", 15, "R1 is named")
        wait_until(lambda: ask_once(agent.address, "other")["master"] == "only", 15, "the other's server is named")
        assert agent.find_log(event="started")
        assert agent.log_text().splitlines()[0].endswith('event=starting configuration="command line"')
        check_clean(agent)
    finally:
        agent.kill()
        for fake in fakes:
            fake.stop()


def test_quick_start_with_passwords_and_a_page(tmp_path):
    """What `--dump-config` says of them, and what the page does: `park` is of one service, the password of the other."""
    (tmp_path / "password").write_text("secret\n")
    arguments = ["--listen", "127.0.0.1:0", "--http", "127.0.0.1:0", "--sentinel", "127.0.0.1:1", "--password-file", tmp_path / "password",
                 "--service", "one", "--server", "R1=127.0.0.1:7001", "--park", "4s",
                 "--service", "two", "--server", "R2=127.0.0.1:7002", "--redis-password-file", tmp_path / "password"]
    said = run_agent("--dump-config", *arguments).stdout
    secret = f"password-file = {tmp_path}/password\n"
    sentinels, one, two = (said[said.index(section):].split("\n\n")[0] + "\n" for section in ("[sentinels", "[service one", "[service two"))
    assert (secret in sentinels, secret in one, secret in two) == (True, False, True)
    assert "park = 4000ms\n" in one and "park = auto\n" in two
    (tmp_path / "password").unlink()
    assert "cannot read" in run_agent("-t", *arguments).stderr
    (tmp_path / "password").write_text("secret\n")
    agent = QuickStart(tmp_path, list(map(str, arguments)))
    try:
        agent.start()
        page = agent.wait_log(event="listening", protocol="http")["address"]
        with urllib.request.urlopen(f"http://{page}/status", timeout=10) as reply:
            assert [one["park-ms"] for one in json.load(reply)["services"]] == [4000, 8000]
        check_clean(agent)
    finally:
        agent.kill()


def test_stops_by_a_signal_that_comes_early(tmp_path):
    """While it still starts: it has just said where it listens."""
    agent = Agent(tmp_path)
    agent.config_path.write_text(GOOD)
    for _ in range(30):
        agent.spawn()
        while agent.check_alive() and agent.mark() == agent.started_at:
            pass  # without a pause: there is a millisecond
        assert agent.stop(15) == 0


@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGUSR2])
def test_other_signals_do_nothing(tmp_path, number):
    agent = Agent(tmp_path)
    agent.config_path.write_text(GOOD)
    try:
        agent.start()
        for _ in range(3):
            agent.signal(number)
        mark = agent.mark()
        agent.signal(signal.SIGHUP)
        agent.wait_log(event="reloaded", since=mark)
        check_clean(agent)
    finally:
        agent.kill()


def minds_hangup(agent):
    """Whether SIGHUP would not end it: it is blocked or caught."""
    status = (Path("/proc") / str(agent.child.pid) / "status").read_text()
    masks = re.findall(r"^Sig(?:Blk|Cgt):\t([0-9a-f]+)$", status, re.MULTILINE)
    return any(int(mask, 16) >> (signal.SIGHUP - 1) & 1 for mask in masks)


def test_a_reload_that_comes_early(tmp_path):
    """From its first line of code to when it listens: it goes on."""
    agent = Agent(tmp_path)
    agent.config_path.write_text(GOOD)
    for i in range(30):
        agent.spawn()
        wait_until(lambda: minds_hangup(agent), 15, "the program has begun")
        deadline = time.monotonic() + i / 10000
        while time.monotonic() < deadline:
            pass  # without a pause: these are fractions of a millisecond
        agent.signal(signal.SIGHUP)
        wait_until(agent.ready, 15, "it listens")
        assert agent.stop(15) == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stops_by_signal(tmp_path, number):
    """In well under drain-timeout where nobody is connected."""
    agent = Agent(tmp_path)
    agent.config_path.write_text(GOOD.replace("[sentinels]", "drain-timeout = 1m\n[sentinels]"))
    try:
        agent.start()
        begun = time.monotonic()
        agent.signal(number)
        assert agent.child.wait(15) == 0
        assert time.monotonic() - begun < 10
        assert agent.find_log(event="stopped")
    finally:
        agent.kill()


def test_json_log(tmp_path):
    path = write(tmp_path, GOOD.replace("[sentinels]", "log-format = json\n[sentinels]").replace(":0\n", ":1\n"))
    with pytest.raises(subprocess.TimeoutExpired) as ended:
        run_agent("-f", path, timeout=1)
    assert b'"event":"listening"' in ended.value.stderr


@pytest.mark.parametrize("listen, said", [
    ("127.0.0.1:TAKEN", "Address already in use"),
    ("240.0.0.1:9012", "Cannot assign requested address"),
    ("unix:/nowhere/at/all/spop.sock", "No such file or directory"),
    ("unix:SOCKET owner=nobody-of-that-name", "nobody-of-that-name"),
])
def test_cannot_listen(tmp_path, listen, said):
    with FakeSentinel() as taken:
        listen = listen.replace("TAKEN", str(taken.port)).replace("SOCKET", str(tmp_path / "spop.sock"))
        done = run_agent("-f", write(tmp_path, GOOD.replace("127.0.0.1:0", listen)))
    assert (done.returncode, done.stdout) == (1, "")
    assert said in done.stderr
    assert "event=cannot-listen" in done.stderr and "level=error" in done.stderr


# ---- what is written of it ----

def options():
    """All options and commands that --help lists, here and of init."""
    text = run_agent("--help").stdout + run_agent("init", "--help").stdout
    return set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", text)) | {"init", "status", "reload", "check", "haproxy-conf"}


@pytest.mark.parametrize("path", ["completions/sentinel-spoa.bash", "completions/_sentinel-spoa", "completions/sentinel-spoa.fish",
                                  "man/sentinel-spoa.1.scd"])
def test_every_option_is_listed(path):
    text = (ROOT / "spoa" / path).read_text()
    words = set(re.findall(r"[\w-]+", text))
    fish = {f"--{name}" for name in re.findall(r"-l (\S+)", text)} | {f"-{name}" for name in re.findall(r"-s (\S+)", text)}
    letters = {"-f", "-t", "-V", "-h", "-o"} if path.endswith("-spoa") or path.endswith(".scd") else set()
    assert options() - words - fish - letters == set()


def test_bash_completes():
    script = ROOT / "spoa/completions/sentinel-spoa.bash"
    done = subprocess.run(["bash", "-c", f". {script}; COMP_WORDS=(sentinel-spoa --dump); COMP_CWORD=1; _sentinel_spoa; "
                           'echo "${COMPREPLY[@]}"'], capture_output=True, text=True, check=True)
    assert done.stdout == "--dump-config\n"


def test_a_password_that_everybody_can_read():
    """Said by `-t`, by `check`, at the start and at a reload; of the configuration itself, too."""
    with Rig(sentinels="poll = 100ms", service="password = s3cret") as rig:
        path = rig.agent.config_path
        expected = f"{path}:{1 + rig.config.splitlines().index('password = s3cret')}: everybody can read the password in '{path}'"
        path.chmod(0o604)
        rig.wait_votes(3)
        for words in (["-t"], ["check"]):
            done = run_agent("-f", path, *words)
            assert f"warning: {expected}\n" in done.stderr and "s3cret" not in done.stdout + done.stderr
        mark = rig.agent.mark()
        rig.reload()
        assert rig.agent.find_log(event="configuration-warning", since=mark)["warning"] == expected
        path.chmod(0o640)
        assert run_agent("-f", path, "-t").stderr == ""
        mark = rig.agent.mark()
        rig.reload()
        assert not rig.agent.find_log(event="configuration-warning", since=mark)
        path.chmod(0o644)
        rig.agent.stop()
        mark = rig.agent.mark()
        rig.agent.start()
        assert rig.agent.wait_log(event="configuration-warning", since=mark)["warning"] == expected


def test_a_key_that_everybody_can_read(tmp_path):
    pair = self_signed(tmp_path, "ours", "DNS:ours.test")
    path = tmp_path / "agent.conf"
    path.write_text(GOOD.replace("[service", f"tls = yes\ntls-cert = {pair.certificate}\ntls-key = {pair.key}\n[service"))
    for mode, is_told in ((0o640, False), (0o644, True)):
        Path(pair.key).chmod(mode)
        assert (f"everybody can read the key in '{pair.key}'" in run_agent("-f", path, "-t").stderr) == is_told
