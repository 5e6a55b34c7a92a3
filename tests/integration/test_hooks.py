"""`on-switch`: a program at each switch, without a shell, one at a time."""

import json
import os
import signal
import time

import pytest
from process import wait_until
from rig import SERVERS, Rig, run_agent

FAST = "poll = 100ms"


def script(rig, body):
    """A program in the rig's directory."""
    path = rig.directory / "hook.sh"
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)


def rig_with(body, arguments="", timeout="30s", retry="0", **options):
    rig = Rig(sentinels=FAST, service=f"on-switch = DIRECTORY/hook.sh {arguments}\non-switch-timeout = {timeout}\n"
              f"on-switch-retry = {retry}\nallow-any-address = yes", **options)
    script(rig, body.replace("DIRECTORY", str(rig.directory)))
    return rig


def switch(rig, address):
    for fake in rig.fakes:
        fake.masters["mymaster"] = address


def switched(rig, count):
    wait_until(lambda: len(rig.agent.log_lines(event="master-switch")) == count, 15, f"{count} switches")


def test_arguments_and_environment():
    """For the first master as well; the arguments are words, whatever a shell would make of them."""
    with rig_with('{ echo "$0 $*"; env | sort; cat; } >DIRECTORY/told.$SENTINEL_SPOA_GENERATION.new\n'
                  'mv DIRECTORY/told.$SENTINEL_SPOA_GENERATION.new DIRECTORY/told.$SENTINEL_SPOA_GENERATION',
                  "one $HOME `id` *") as rig:
        rig.wait_votes(3)
        first = rig.directory / "told.1"
        wait_until(first.exists, 15, "the program has run")
        assert rig.agent.wait_log(event="hook-ended", status="0")
        switch(rig, SERVERS["R2"])
        second = rig.directory / "told.2"
        wait_until(second.exists, 15, "and again")
        lines = first.read_text().splitlines()
        assert lines[0] == f"{rig.directory}/hook.sh one $HOME `id` * mymaster - 127.0.0.1:7001"
        assert json.loads(lines[-1]) == {
            "service": "mymaster", "old": {"address": None, "server": None},
            "new": {"address": "127.0.0.1:7001", "server": "R1"}, "generation": 1, "votes": json.loads(lines[-1])["votes"]}
        lines = second.read_text().splitlines()
        assert lines[0].endswith("mymaster 127.0.0.1:7001 127.0.0.1:7002")
        told = dict(line.split("=", 1) for line in lines[1:-1] if "=" in line)
        votes = int(told.pop("SENTINEL_SPOA_VOTES"))
        assert json.loads(lines[-1]) == {
            "service": "mymaster", "old": {"address": "127.0.0.1:7001", "server": "R1"},
            "new": {"address": "127.0.0.1:7002", "server": "R2"}, "generation": 2, "votes": votes}
        assert votes in (2, 3)
        assert {name: value for name, value in told.items() if name.startswith("SENTINEL_SPOA_")} == {
            "SENTINEL_SPOA_SERVICE": "mymaster", "SENTINEL_SPOA_OLD_ADDR": "127.0.0.1:7001", "SENTINEL_SPOA_OLD_SERVER": "R1",
            "SENTINEL_SPOA_NEW_ADDR": "127.0.0.1:7002", "SENTINEL_SPOA_NEW_SERVER": "R2", "SENTINEL_SPOA_GENERATION": "2"}
        assert not set(told) - {"PATH", "PWD", "OLDPWD", "SHLVL", "_"} - set(name for name in told if name.startswith("SENTINEL_"))


def test_one_at_a_time_and_the_newest_wins():
    """Three more switches while the first one's program runs: of these the last one's is run, and nobody waits for an answer."""
    with rig_with("echo $3 >>DIRECTORY/told; [ $SENTINEL_SPOA_GENERATION != 1 ] || while [ ! -e DIRECTORY/go ]; do sleep 0.05; done") as rig:
        rig.agent.wait_log(event="hook-started")
        for i in range(3):
            switch(rig, ("127.0.0.1", 7002 + i))
            switched(rig, 2 + i)
        assert rig.ask()["port"] == 7004
        assert not rig.agent.find_log(event="hook-ended")
        (rig.directory / "go").touch()
        wait_until(lambda: len(rig.agent.log_lines(event="hook-ended")) == 2, 15, "both have ended")
        assert (rig.directory / "told").read_text().split() == ["127.0.0.1:7001", "127.0.0.1:7004"]
        assert len(rig.agent.log_lines(event="hook-superseded")) == 2


MANY = 60


def many(body):
    """As many services, which all get their first master at once."""
    return rig_with(body, more="".join(
        f"[service s{i}]\nmonitor = mymaster\nserver = R1 127.0.0.1:7001\nserver = R2 127.0.0.1:7002\n"
        f"on-switch = DIRECTORY/hook.sh\non-switch-retry = 0\n" for i in range(MANY - 1)))


def test_many_programs_start_one_after_another():
    """All services switch in one moment: their masters are named before the loop has started all programs."""
    with many("exit 0") as rig:
        wait_until(lambda: len(rig.agent.log_lines(event="hook-ended", status="0")) == MANY, 30, "all have run")
        events = [line["event"] for line in rig.agent.log_lines() if line["event"] in ("master-switch", "hook-started")]
        assert events.count("hook-started") == MANY
        named = len(events) - events[::-1].index("master-switch")
        assert events[:named].count("hook-started") < MANY // 2


def test_programs_that_wait_for_their_turn_are_started_at_the_end():
    with many("mktemp DIRECTORY/ran.XXXXXXXX") as rig:
        rig.agent.wait_log(event="hook-started")
        switched(rig, MANY)
        rig.agent.signal(signal.SIGTERM)
        wait_until(lambda: len(list(rig.directory.glob("ran.*"))) == MANY, 15, "all have run")


def test_exit_status_and_metrics():
    with rig_with("exit 3", agent="http = 127.0.0.1:0") as rig:
        line = rig.agent.wait_log(event="hook-ended", service="mymaster", status="3")
        assert line["level"] == "warning"
        rig.agent.stop()
        counted = rig.agent.find_log(event="stopped")
        assert (counted["hooks_total"], counted["hook_failures_total"]) == ("1", "1")


def has_ended(pid):
    try:
        return open(f"/proc/{pid}/stat", encoding="ascii").read().split()[2] == "Z"
    except FileNotFoundError:
        return True


def test_what_takes_too_long_may_clean_up():
    """SIGTERM comes first; what it started and ignores that is killed."""
    with rig_with("sh -c 'trap \"\" TERM; echo $$ >DIRECTORY/child.new; mv DIRECTORY/child.new DIRECTORY/child; while :; do sleep 0.1; done' &\n"
                  "trap 'echo clean >DIRECTORY/told; exit 4' TERM; while :; do sleep 0.05; done", timeout="1s") as rig:
        line = rig.agent.wait_log(event="hook-ended", status="4")
        assert int(line["ms"]) >= 2990  # two clocks; it is over when all of it is gone
        assert (rig.directory / "told").read_text() == "clean\n"
        child = int((rig.directory / "child").read_text())
        wait_until(lambda: has_ended(child), 15, "what it started is gone")


def test_what_it_started_may_clean_up_too():
    """The program itself is gone at once. What takes too long has failed, whatever it says."""
    with rig_with("trap 'exit 0' TERM\n"
                  "sh -c 'trap \"sleep 0.5; echo clean >DIRECTORY/told; exit\" TERM; while :; do sleep 0.1; done' &\n"
                  "while :; do sleep 0.05; done", timeout="1s") as rig:
        line = rig.agent.wait_log(event="hook-ended", status="0")
        assert (line["level"], line["reason"]) == ("warning", "on-switch-timeout")
        assert (rig.directory / "told").read_text() == "clean\n"


def test_what_ignores_sigterm_is_killed():
    """With all that it started."""
    with rig_with("trap '' TERM; sleep 1000 & echo $! >DIRECTORY/child; while :; do wait; done", timeout="300ms") as rig:
        line = rig.agent.wait_log(event="hook-ended", signal="9")
        assert line["reason"] == "on-switch-timeout" and int(line["ms"]) >= 2290  # two clocks
        child = int((rig.directory / "child").read_text())
        wait_until(lambda: has_ended(child), 15, "what it started is gone")


def test_what_fails_is_run_again():
    """Until it works, each time after twice as long."""
    with rig_with("echo $3 >>DIRECTORY/told; [ $(wc -l <DIRECTORY/told) = 4 ]", retry="50ms") as rig:
        rig.agent.wait_log(event="hook-ended", status="0")
        lines = rig.agent.log_lines(event="hook-ended")
        assert [line.get("retry-ms") for line in lines] == ["50", "100", "200", None]
        assert (rig.directory / "told").read_text().split() == ["127.0.0.1:7001"] * 4
        rig.agent.stop()
        counted = rig.agent.find_log(event="stopped")
        assert (counted["hooks_total"], counted["hook_failures_total"]) == ("4", "3")


def test_what_fails_is_not_run_again_for_ever():
    with rig_with("exit 1", retry="10ms") as rig:
        wait_until(lambda: len(rig.agent.log_lines(event="hook-ended")) == 6, 15, "six failures")
        assert "retry-ms" not in rig.agent.log_lines(event="hook-ended")[-1]


def test_what_failed_is_not_run_after_the_file_has_another():
    with rig_with("echo $* >>DIRECTORY/told; exit 1", retry="3s") as rig:
        rig.agent.wait_log(event="hook-ended", status="1")
        due = time.monotonic() + 3.5
        rig.reload(("hook.sh", "hook.sh other"))
        wait_until(lambda: time.monotonic() > due, 15, "it would have been run again")
        assert (rig.directory / "told").read_text().split() == ["mymaster", "-", "127.0.0.1:7001"]


def test_what_failed_is_not_run_for_a_master_that_is_replaced():
    with rig_with("echo $3 >>DIRECTORY/told; [ $SENTINEL_SPOA_GENERATION = 2 ]", retry="1h") as rig:
        rig.agent.wait_log(event="hook-ended", status="1")
        switch(rig, SERVERS["R2"])
        rig.agent.wait_log(event="hook-ended", status="0")
        assert (rig.directory / "told").read_text().split() == ["127.0.0.1:7001", "127.0.0.1:7002"]


def test_it_may_write_files_and_the_agent_says_so():
    """Landlock would bind the programs as well."""
    with rig_with("echo x >DIRECTORY/written") as rig:
        wait_until((rig.directory / "written").exists, 15, "written")
        assert rig.agent.find_log(event="sandbox", files="all")


def test_it_gets_no_descriptor_of_ours():
    """Neither listening sockets, which it would keep open, nor links to Sentinels."""
    with rig_with("for f in /proc/$$/fd/*; do readlink $f; done >DIRECTORY/fds.new; mv DIRECTORY/fds.new DIRECTORY/fds",
                  agent="http = 127.0.0.1:0\nautoreload = yes") as rig:
        rig.wait_votes(3)
        path = rig.directory / "fds"
        wait_until(path.exists, 15, "the program has run")
        seen = path.read_text().split()
        assert seen and not [one for one in seen if one.startswith(("socket:", "anon_inode:"))], seen
        pipes = {one for one in seen if one.startswith("pipe:")}  # for its input, and its output
        assert len(pipes) == 2 and pipes.isdisjoint(os.readlink(f"/proc/{rig.agent.pid}/fd/{fd}") for fd in (0, 1, 2))


def said(rig):
    """What the program has printed, by the log."""
    return [line["text"] for line in rig.agent.log_lines(event="hook-output", service="mymaster")]


def descriptors(rig):
    return len(os.listdir(f"/proc/{rig.agent.pid}/fd"))


def test_what_it_prints():
    """A line of the log for each of its lines, before that of its end, with the service's name; whatever its bytes are."""
    with rig_with(r"""echo 'one "x" level=error'; echo two >&2; printf '\033[31mred\000\n\nno newline'; exit 3""") as rig:
        rig.agent.wait_log(event="hook-ended", status="3")
        events = [line["event"] for line in rig.agent.log_lines() if line["event"].startswith("hook-")]
        assert events == ["hook-started"] + ["hook-output"] * 4 + ["hook-ended"]
        assert said(rig)[:2] + said(rig)[3:] == ['one "x" level=error', "two", "no newline"]
        assert r'text="\x1b[31mred\x00"' in rig.agent.log_text()
        assert all(line.startswith("ts=") for line in rig.agent.log_text().splitlines())


def test_it_prints_without_end():
    """Some lines of it are logged. Nobody waits for it, it does not wait for us, and it is killed as any other."""
    with rig_with("yes $(printf %02000d 0)", timeout="1s") as rig:
        rig.agent.wait_log(event="hook-started")
        for _ in range(10):
            began = time.monotonic()
            assert rig.ask()["master"] == "R1"
            assert time.monotonic() - began < 0.5
        assert rig.agent.wait_log(event="hook-ended", signal="15")["reason"] == "on-switch-timeout"
        assert int(rig.agent.wait_log(event="hook-output-dropped")["lines"]) > 1000
        assert 0 < len(said(rig)) <= 100 and all(len(line) == 500 for line in said(rig))
        assert rig.agent.log_lines(event="hook-output")[0]["cut-bytes"] == "1500"


def test_a_pipe_that_nobody_closes():
    """What a program leaves behind prints until the next one begins: there is never more than one pipe for a service."""
    with rig_with("(while sleep 0.05; do echo $SENTINEL_SPOA_GENERATION; done) & echo $! >>DIRECTORY/children") as rig:
        rig.agent.wait_log(event="hook-ended", status="0")
        wait_until(lambda: said(rig).count("1") > 2, 15, "what it has started prints")
        before = descriptors(rig)
        for i in range(4):
            switch(rig, SERVERS["R2" if i % 2 == 0 else "R1"])
            wait_until(lambda n=i: len(rig.agent.log_lines(event="hook-ended")) == n + 2, 15, "the next has ended")
        wait_until(lambda: said(rig).count("5") > 2, 15, "what it has started prints")
        wait_until(lambda: descriptors(rig) <= before, 15, "the pipes before are closed")
        mark = rig.agent.mark()
        wait_until(lambda: len(rig.agent.log_lines(event="hook-output", since=mark)) > 2, 15, "it goes on")
        assert {line["text"] for line in rig.agent.log_lines(event="hook-output", since=mark)} == {"5"}
        children = [int(child) for child in (rig.directory / "children").read_text().split()]
        assert len(children) == 5 and all(os.path.exists(f"/proc/{child}") for child in children)
        for child in children:
            os.kill(child, signal.SIGKILL)


def test_it_outlives_the_agent():
    """What it prints then does not end it."""
    with rig_with("trap '' TERM\nwhile [ ! -e DIRECTORY/go ]; do echo waits; sleep 0.05; done\necho x; echo y >&2; touch DIRECTORY/done") as rig:
        wait_until(lambda: "waits" in said(rig), 15, "it runs")
        rig.agent.stop()
        time.sleep(0.3)  # it prints some lines more
        (rig.directory / "go").touch()
        wait_until((rig.directory / "done").exists, 15, "it has come to its end")
        rig.agent.start()


def test_it_outlives_a_reload():
    with rig_with("while [ ! -e DIRECTORY/go ]; do sleep 0.05; done") as rig:
        rig.agent.wait_log(event="hook-started")
        rig.reload()
        assert not rig.agent.find_log(event="hook-ended")
        (rig.directory / "go").touch()
        rig.agent.wait_log(event="hook-ended", status="0")
        time.sleep(0.3)  # the reload is no switch: nothing more is to come
        assert len(rig.agent.log_lines(event="hook-started")) == 1


@pytest.mark.parametrize("command, said", [("hook.sh", "whole path"), ("/does/not/exist", "cannot run '/does/not/exist'"),
                                           ("/etc/passwd x", "cannot run '/etc/passwd'")])
def test_mistakes(command, said, tmp_path):
    if os.geteuid() == 0 and command.startswith("/etc"):
        assert not os.access("/etc/passwd", os.X_OK)
    (tmp_path / "agent.conf").write_text(f"[sentinels]\naddress = a:1\naddress = b:1\naddress = c:1\n"
                                         f"[service m]\nserver = R 10.0.0.1:6379\non-switch = {command}\n")
    done = run_agent("-t", "-f", tmp_path / "agent.conf")
    assert done.returncode == 2 and said in done.stderr, done.stderr
