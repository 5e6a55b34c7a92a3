"""What `init` makes of each answer: the Sentinels and nodes are played. What real ones say is in test_init.py."""

import contextlib
import os
from pathlib import Path

import pytest
from fake_sentinel import GET_MASTER, HANG, FakeSentinel, Raw, error
from own_etc import needs_root
from test_check import ID, TURNED_DOWN, World, fields
from test_init import FILES, init, notes


class Told(World):
    """Sentinels that tell of each other and of the nodes, so that `init` has nothing to remark."""

    def __init__(self, stack, directory):
        super().__init__(stack, directory)
        self.folder = directory / "out"
        self.folder.mkdir()
        self.asked, *_ = self.sentinels
        for i, node in enumerate(self.nodes):
            node.reply("INFO SERVER", f"run_id:{ID.format(0xabc + i)}\r\n")
        for sentinel in self.sentinels:
            others = [one for one in self.sentinels if one is not sentinel]
            sentinel.reply("SENTINEL MASTERS", [self.master()])
            sentinel.reply("SENTINEL SENTINELS", [self.fellow(one) for one in others])
            sentinel.reply("SENTINEL CKQUORUM", Raw(b"+OK 3 usable Sentinels\r\n"))

    def master(self, name="mymaster", ip="127.0.0.1", port=None, **more):
        return fields(("name", name), ("ip", ip), ("port", port or self.nodes[0].port), *more.items())

    @staticmethod
    def fellow(sentinel, **more):
        return fields(*{"ip": "127.0.0.1", "port": sentinel.port, "runid": sentinel.myid, **more}.items())

    def init(self, *words):
        return init(self.asked.where, "-o", self.folder, "--force", *words)

    def noted(self, *words):
        """What is remarked, of a configuration that is written."""
        done = self.init(*words)
        assert done.stderr == "" and done.returncode in (0, 1), done
        return [note.removeprefix("! ") for note in notes(done)]

    def fails(self, words, *options, code=1):
        for path in self.folder.iterdir():
            path.unlink()
        done = self.init(*options)
        assert (done.returncode, done.stderr) == (code, f"init: {words}\n"), done
        assert list(self.folder.iterdir()) == []

    def written(self):
        text = (self.folder / "sentinel-spoa.conf").read_text().splitlines()
        return ([line.split(" = ")[1] for line in text if line.startswith("address = ")],
                [line.split(" = ")[1] for line in text if line.startswith("server = ")])


@pytest.fixture(name="told")
def make_told(tmp_path):
    with contextlib.ExitStack() as stack:
        yield Told(stack, tmp_path)


def in_order(*peers):
    """Their addresses, as they are sorted in the file."""
    return [one.where for one in sorted(peers, key=lambda one: one.port)]


def servers(*addresses):
    return [f"R{i + 1} {address}" for i, address in enumerate(addresses)]


def test_all_is_well(told):
    done = told.init()
    assert (done.returncode, done.stderr, notes(done)) == (0, "", []), done
    assert done.stdout.startswith(f"Asking the Sentinel {told.asked.where}\n  mymaster: master {told.nodes[0].where}, 1 replica, down-after-milliseconds 5000\n"
                                  + "".join(f"Wrote {told.folder}/{name}\n" for name in FILES) + f"\nsentinel-spoa -f {told.folder}/sentinel-spoa.conf check\n")
    assert told.written() == (in_order(*told.sentinels), servers(*in_order(*told.nodes)))
    for sentinel in told.sentinels:
        sentinel.reply("SENTINEL REPLICAS", [])
        sentinel.reply("SENTINEL MASTER ", TURNED_DOWN)
    assert f"  mymaster: master {told.nodes[0].where}, 0 replicas\n" in told.init().stdout
    assert told.written()[1] == servers(told.nodes[0].where)


# ---- the Sentinel that is asked ----

RIGHTS = ("The user needs +sentinel|myid +sentinel|masters +sentinel|replicas +sentinel|sentinels +sentinel|get-master-addr-by-name for this")


@pytest.mark.parametrize("command", ["MYID", "MASTERS", "SENTINELS", "REPLICAS"])
def test_an_answer_that_is_none(told, command):
    where = told.asked.where
    for reply, words in (
            (TURNED_DOWN, f"{where} refuses SENTINEL {command}: NOPERM no right. {RIGHTS}"),
            (error("ERR unknown command 'SENTINEL'"), f"{where} is a Redis, not a Sentinel: give the address of a Sentinel, whose port is usually 26379"),
            (error("ERR Unknown sentinel subcommand 'X'"), f"{where} is too old: SENTINEL {command} needs Redis 6.2 or later"),
            (error("ERR odd"), f"{where} does not answer SENTINEL {command}: ERR odd"),
            (7, f"{where} does not answer SENTINEL {command}: not as a Sentinel does")):
        told.asked.reply(f"SENTINEL {command}", reply)
        told.fails(words)


def test_an_asked_sentinel_that_does_not_answer(told, tmp_path):
    where = told.asked.where
    told.asked.reply("SENTINEL MYID", "x" * 39)
    told.fails(f"{where} does not say who it is: SENTINEL MYID is '{'x' * 39}'")
    told.asked.reply("SENTINEL MYID", Raw(b"nonsense\r\n"))
    done = told.init()
    assert done.returncode == 1 and done.stderr.startswith(f"init: {where} does not answer as a Sentinel without TLS: ")
    told.asked.replies.pop("SENTINEL MYID")
    told.asked.password = "s"
    told.fails(f"{where} asks for a password: give --password-file FILE (NOAUTH Authentication required.)")
    secret = tmp_path / "secret"
    secret.write_text("t\n")
    secret.chmod(0o600)
    told.fails(f"{where} refuses the password: WRONGPASS no", "--password-file", secret)
    told.asked.stop()
    told.fails(f"{where} cannot be reached: Connection refused")


def test_a_password_that_is_none(told, tmp_path):
    """Nobody is asked."""
    secret = tmp_path / "secret"
    secret.write_text("\nsecond line\n")
    secret.chmod(0o600)
    for option in ("--password-file", "--redis-password-file"):
        done = told.init(option, secret)
        assert (done.returncode, done.stdout) == (2, "")
        assert f"'{secret}' has no password of 1 to 512 bytes in its first line\n" in done.stderr
    assert not told.asked.accepted


def test_a_folder_that_is_new(told):
    """It is for everybody to read, as its files are, and stays only where they are written."""
    told.folder /= "new"
    told.asked.reply("SENTINEL MASTERS", [])
    assert told.init().returncode == 1 and not told.folder.exists()
    told.asked.reply("SENTINEL MASTERS", [told.master()])
    former = os.umask(0o022)
    try:
        assert told.init().returncode == 0 and told.folder.stat().st_mode & 0o7777 == 0o755
    finally:
        os.umask(former)


@needs_root
@pytest.mark.skipif(not Path("/etc/haproxy").is_dir(), reason="there is no /etc/haproxy")
def test_the_folder_of_haproxy(told):
    """The files for HAProxy are in their place already."""
    prefix = ["unshare", "--mount", "sh", "-c", 'mount -t tmpfs tmpfs /etc/haproxy && exec "$@"', "sh"]
    done = init(told.asked.where, "-o", "/etc/haproxy", prefix=prefix)
    assert (done.returncode, done.stderr) == (0, ""), done
    steps = done.stdout.split("Next, as root:\n")[1].splitlines()
    assert [step for step in steps if "/etc/haproxy/" in step and "sentinel-spoa.conf" not in step] == ["  haproxy -c -f /etc/haproxy/haproxy.cfg"]


def test_nothing_to_write(told):
    told.asked.reply("SENTINEL MASTERS", [])
    told.fails(f"{told.asked.where} monitors no master: nothing is to be written")
    told.asked.reply("SENTINEL MASTERS", [told.master(ip="")])
    done = told.init()
    assert notes(done) == [f"! {told.asked.where} announces the host '', which is no address: it is left out."]
    assert done.stderr == f"init: {told.asked.where} monitors no master: nothing is to be written\n"


def test_masters_that_are_left_out(told):
    """By a name, by an address, by other Sentinels: the others are written."""
    one = told.fellow(told.sentinels[1])
    told.asked.reply("SENTINEL MASTERS", [told.master("bad\nname"), told.master("gone", ip=""), told.master(), told.master("other"), told.master("third"),
                                          told.master("fourth")])
    told.asked.reply("SENTINEL SENTINELS OTHER", [one])
    told.asked.reply("SENTINEL SENTINELS THIRD", [one, told.fellow(told.sentinels[2], port=1)])
    told.asked.reply("SENTINEL SENTINELS FOURTH", [told.fellow(told.sentinels[2]), one])
    told.asked.reply("SENTINEL REPLICAS", [told.replica(told.nodes[1].port), fields(("ip", ""), ("port", 1))])
    for sentinel in told.sentinels[1:]:
        sentinel.masters["fourth"] = sentinel.master
    others = "has other Sentinels than the first one: it is left out. Make a file of its own for it."
    noted = told.noted()
    assert noted[1:] == [
        f"{told.asked.where} announces the host '', which is no address: it is left out.",
        f"{told.asked.where} announces the host '', which is no address: it is left out.",
        f"The master 'other' {others}", f"The master 'third' {others}",
        f"{told.asked.where} announces the host '', which is no address: it is left out."], noted
    assert noted[0].startswith("The master 'bad") or "bad" in noted[0]
    text = (told.folder / "sentinel-spoa.conf").read_text()
    assert [line for line in text.splitlines() if line.startswith("[service")] == ["[service mymaster]", "[service fourth]"]


# ---- the other Sentinels ----

def test_fellows_that_are_not_as_announced(told):
    one, other = told.sentinels[1:]
    name = one.where
    for reply, words in (("nonsense", f"{name} does not say who it is: nonsense."), (error("ERR odd."), f"{name} does not say who it is: ERR odd."),
                         (7, f"{name} does not say who it is: ."),
                         (ID.format(0xfff), f"At {name} there is another Sentinel than the one that is announced there: it is {ID.format(0xfff)}."),
                         (HANG, f"{name} does not say who it is: no reply.")):
        one.reply("SENTINEL MYID", reply)
        assert told.noted() == [words]
    one.replies.pop("SENTINEL MYID")
    other.master = None
    assert told.noted() == [f"{other.where} does not know the master 'mymaster'."]
    other.master = told.address(0)
    one.password = "s"
    assert told.noted() == [f"The Sentinel {name} refuses us: NOAUTH Authentication required."]
    one.stop()
    assert told.noted() == [f"The Sentinel {name} cannot be reached from here: Connection refused."]
    assert told.written()[0] == in_order(*told.sentinels)


def test_how_fellows_know_the_asked_one(told):
    """By another address, where nobody listens, or where it does."""
    for sentinel in told.sentinels[1:]:
        sentinel.reply("SENTINEL SENTINELS", [told.fellow(told.asked, port=1), told.fellow(told.sentinels[1])])
    assert told.noted() == ["The Sentinel 127.0.0.1:1 cannot be reached from here: Connection refused.",
                            f"The other Sentinels know {told.asked.where} as 127.0.0.1:1: is there address translation in between?"]
    assert told.written()[0] == in_order(*told.sentinels)
    with FakeSentinel() as same:
        same.myid, same.master = told.asked.myid, told.address(0)
        for sentinel in told.sentinels[1:]:
            sentinel.reply("SENTINEL SENTINELS", [told.fellow(told.asked, port=same.port), told.fellow(told.sentinels[1])])
        assert told.noted() == []
        assert told.written()[0] == in_order(same, *told.sentinels[1:])
    for sentinel in told.sentinels[1:]:
        sentinel.reply("SENTINEL SENTINELS", error("ERR odd"))
    assert told.noted() == [] and told.written()[0] == in_order(*told.sentinels)


def test_another_master_address(told):
    """A fellow knows the master by another address: both are of one server, if they are one node."""
    with FakeSentinel() as same:
        same.reply("ROLE", ["master", 0, []])
        same.reply("INFO SERVER", f"run_id:{ID.format(0xabc)}\r\n")
        told.sentinels[2].master = ("127.0.0.1", same.port)
        assert told.noted() == []
        text = "\n".join(told.written()[1])
        assert f"alias={same.where}" in text or f"{same.where} alias={told.nodes[0].where}" in text, text
        told.sentinels[2].master = told.address(0)
        # So does a replica.
        told.nodes[1].reply("ROLE", ["slave", "127.0.0.1", str(same.port), "connected", 0])
        assert told.noted() == [] and "alias=" in "\n".join(told.written()[1])
        told.nodes[1].reply("ROLE", ["slave", "127.0.0.1"])
        assert told.noted() == [] and "alias=" not in "\n".join(told.written()[1])
        told.nodes[1].reply("ROLE", ["master", "127.0.0.1", str(same.port)])
        told.noted()
        assert "alias=" not in "\n".join(told.written()[1])


# ---- the nodes ----

def test_nodes_that_do_not_tell(told):
    node = told.nodes[1]
    for reply, words in (("redis_version:7", "INFO has no run_id"), (error("ERR odd."), "ERR odd"), (7, "INFO has no run_id")):
        node.reply("INFO SERVER", reply)
        assert told.noted() == [f"The node {node.where} does not say who it is: {words}."]
    node.reply("INFO SERVER", HANG)
    assert told.noted() == [f"The node {node.where} does not answer: no reply."]
    node.password = "s"
    assert told.noted() == [f"The node {node.where} refuses us: NOAUTH Authentication required."]
    node.stop()
    assert told.noted() == [f"The node {node.where} of 'mymaster' cannot be reached from here: Connection refused."]
    assert told.written()[1] == servers(*in_order(*told.nodes))


def test_nodes_that_want_a_password(told, tmp_path):
    """If all that answer do, that is the end; if none answers, it is not."""
    secret = tmp_path / "secret"
    secret.write_text("t\n")
    secret.chmod(0o600)
    for node in told.nodes:
        node.password = "s"
    told.fails("Redis asks for a password: give --redis-password-file FILE")
    told.fails("Redis does not take the password of --redis-password-file", "--redis-password-file", secret)
    told.nodes[1].stop()
    told.fails("Redis asks for a password: give --redis-password-file FILE")
    told.nodes[0].stop()
    assert len(told.noted()) == 2


class Login(FakeSentinel):
    """A server that takes a password with this user, or only without one, where it is None."""

    def __init__(self, user):
        super().__init__()
        self.user = user

    def execute(self, sock, words, known):
        if words[0] == "AUTH":
            right = words[1:] == ([self.user, "s"] if self.user else ["s"])
            sock.sendall(b"+OK\r\n" if right else b"-WRONGPASS no.\r\n")
            return right
        return super().execute(sock, words, known)


def test_a_user_that_only_some_know(told, tmp_path):
    """Where the password is taken without the user, none is written; where it is taken with it, a refusal stays one."""
    secret = tmp_path / "secret"
    secret.write_text("s\n")
    secret.chmod(0o600)
    words = ("--redis-password-file", secret, "--user", "probe")

    def text():
        return (told.folder / "sentinel-spoa.conf").read_text()
    for users, said, has_user in (((None, None), ["DROPPED"], False), (("probe", "probe"), [], True), (("probe", None), ["1 REFUSED"], True)):
        with contextlib.ExitStack() as stack:
            nodes = [stack.enter_context(Login(user)) for user in users]
            nodes.sort(key=lambda one: one.port)
            for node, user in zip(nodes, users):
                node.user = user
            told.nodes = nodes
            told.roles("master", "slave")
            for i, node in enumerate(nodes):
                node.reply("INFO SERVER", f"run_id:{ID.format(0xabc + i)}\r\n")
                node.password = "s"
            for sentinel in told.sentinels:
                sentinel.master = told.address(0)
                sentinel.reply("SENTINEL MASTERS", [told.master()])
                sentinel.reply("SENTINEL REPLICAS", [told.replica(nodes[1].port)])
            expected = [{"DROPPED": f"{nodes[0].where} takes the password without the user 'probe': no user is written there.",
                         "1 REFUSED": f"The node {nodes[1].where} refuses us: WRONGPASS no."}[one] for one in said]
            assert told.noted(*words) == expected
            assert ("username = probe" in text()) == has_user


def test_the_name_of_a_file_for_a_shell(told):
    told.folder = told.folder / "it's"
    told.folder.mkdir()
    assert f"-f '{str(told.folder).replace(chr(39), chr(39) + chr(92) + chr(39) + chr(39))}/sentinel-spoa.conf' check\n" in told.init().stdout


def test_where_clients_connect(told):
    told.asked.reply("SENTINEL MASTERS", [told.master(), told.master("other")])
    for sentinel in told.sentinels[1:]:
        sentinel.masters["other"] = sentinel.master
    ports = told.init().stdout.split("Clients connect to\n")[1].splitlines()
    assert ports == ["  127.0.0.1:6379       (fe_mymaster)", "  127.0.0.1:6380       (fe_other)",
                     "Only clients on this host reach these ports: change `bind` in haproxy.cfg for others."]


def test_no_memory_of_what_was_there(told):
    """GET-MASTER-ADDR-BY-NAME is asked once of each fellow, and nothing of nodes that were reached already."""
    told.noted()
    assert [sentinel.times_asked("SENTINEL MYID") for sentinel in told.sentinels] == [2, 2, 2]  # by the check, too
    assert [sentinel.times_asked(GET_MASTER) for sentinel in told.sentinels] == [1, 2, 2]
