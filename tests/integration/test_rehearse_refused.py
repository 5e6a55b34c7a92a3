"""When `rehearse` does nothing, and what it says then. Sentinels, nodes and HAProxy are played; a rehearsal that goes on is in
test_rehearse.py."""

import contextlib
import time

import pytest
from fake_sentinel import GET_MASTER, FakeSentinel, Raw, error, shut
from rig import run_agent
from test_check import ID, TURNED_DOWN, World

OK_REPLY = Raw(b"+OK\r\n")
ANNOUNCED = ("mymaster: R1 is the master. All 3 Sentinels name it, and 1 replica can be promoted.\nHAProxy at {} leads to R1.\n"
             "With --yes a Sentinel is told to replace R1. Clients feel that as they feel every failover. Meanwhile sentinel-spoa:rehearsal:* is "
             "written, and removed afterwards.\n")


@pytest.fixture(name="world")
def make_world(tmp_path):
    with contextlib.ExitStack() as stack:
        made = World(stack, tmp_path)
        for sentinel in made.sentinels:
            sentinel.reply("SENTINEL CKQUORUM", Raw(b"+OK 3 usable Sentinels\r\n"))
        for i, node in enumerate(made.nodes):
            node.reply("INFO SERVER", f"run_id:{ID.format(0xabc + i)}\r\n")
        yield made


def rehearse(world, *words, through=None):
    done = run_agent("-f", world.path, "rehearse", "mymaster", "--through", through or world.nodes[0].where, *words)
    return done.returncode, done.stdout, done.stderr


def refuses(world, words, through=None):
    """It says this, and writes nothing."""
    assert rehearse(world, "--yes", through=through) == (1, "", f"no rehearsal: {words}\n")
    assert not any(node.times_asked(command) for node in world.nodes for command in ("DEL", "SETBIT", "EXPIRE"))
    assert not any(sentinel.times_asked("SENTINEL FAILOVER") for sentinel in world.sentinels)


def test_all_is_well(world):
    assert rehearse(world) == (2, ANNOUNCED.format(world.nodes[0].where), "")
    for sentinel in world.sentinels:
        sentinel.reply("SENTINEL REPLICAS", [world.replica(world.nodes[1].port), world.replica(world.nodes[1].port)])
    assert " and 2 replicas can be promoted.\n" in rehearse(world)[1]


def test_a_sentinel_that_does_not_help(world):
    one = world.sentinels[1]
    name = f"the Sentinel {one.where}"
    one.reply(GET_MASTER, error("ERR odd"))
    refuses(world, f"{name} does not say who is the master: ERR odd")
    one.reply(GET_MASTER, None)
    refuses(world, f"{name} knows no master called: mymaster")
    one.reply(GET_MASTER, ["127.0.0.1", "7009"])
    refuses(world, f"{name} names an address that no 'server' has: 127.0.0.1:7009")
    one.reply(GET_MASTER, list(map(str, world.address(1))))
    refuses(world, f"{name} names another master than the others: {world.nodes[1].where}")
    one.heal()
    one.reply("SENTINEL CKQUORUM", error("NOQUORUM 1 usable Sentinels"))
    refuses(world, f"{name} says that no failover is possible (SENTINEL CKQUORUM): NOQUORUM 1 usable Sentinels")
    one.reply("SENTINEL CKQUORUM", 7)
    refuses(world, f"{name} says that no failover is possible (SENTINEL CKQUORUM): a reply of another kind than expected")
    one.reply("SENTINEL CKQUORUM", OK_REPLY)
    one.reply("SENTINEL REPLICAS", TURNED_DOWN)
    refuses(world, f"{name} does not list the replicas: NOPERM no right")
    one.reply("SENTINEL REPLICAS", "x")
    refuses(world, f"{name} does not list the replicas: x")
    one.password = "s"
    refuses(world, f"{name} does not answer: NOAUTH Authentication required.")
    one.stop()
    refuses(world, f"{name} does not answer: Connection refused")


@pytest.mark.parametrize("change", [{"flags": "slave,s_down"}, {"flags": "slave,disconnected"}, {"slave-priority": 0}, {"master-link-status": "err"}])
def test_nobody_to_promote(world, change):
    name = f"the Sentinel {world.sentinels[2].where}"
    world.sentinels[2].reply("SENTINEL REPLICAS", [world.replica(world.nodes[1].port, **change)])
    refuses(world, f"{name} knows of no good replica that it could promote")
    world.sentinels[2].reply("SENTINEL REPLICAS", [world.replica(7009, **change), world.replica(world.nodes[1].port), ["x"]])
    assert rehearse(world)[0] == 2
    world.sentinels[2].reply("SENTINEL REPLICAS", [world.replica(world.nodes[1].port), world.replica(7009)])
    refuses(world, f"{name} may promote an address that no 'server' has: 127.0.0.1:7009")


def test_a_node_that_does_not_help(world):
    one, other = world.nodes
    with FakeSentinel() as haproxy:
        haproxy.reply("INFO SERVER", f"run_id:{ID.format(0xabc)}\r\n")
        through = haproxy.where
        other.reply("INFO SERVER", "redis_version:7\n")
        refuses(world, "R2 does not tell its run ID (INFO server): redis_version:7\n", through)
        other.reply("INFO SERVER", TURNED_DOWN)
        refuses(world, "R2 does not tell its run ID (INFO server): NOPERM no right", through)
        other.stop()
        assert rehearse(world, through=through)[0] == 2
        one.reply("ROLE", TURNED_DOWN)
        refuses(world, "R1 cannot be asked for its role: NOPERM no right", through)
        one.reply("ROLE", ["slave", "127.0.0.1", "7009", "connected", 0])
        refuses(world, "R1 is named, and says that it is no master", through)
        one.stop()
        refuses(world, "R1 cannot be asked for its role: Connection refused", through)


def test_where_haproxy_leads(world):
    with FakeSentinel() as haproxy:
        through = haproxy.where
        haproxy.reply("INFO SERVER", f"run_id:{ID.format(0xabd)}\r\n")
        refuses(world, "HAProxy leads to a node that is not the master: R2", through)
        haproxy.reply("INFO SERVER", f"run_id:{ID.format(0xfff)}\r\n")
        refuses(world, "HAProxy leads to a node that is no server of the service: is --through right?", through)
        haproxy.reply("INFO SERVER", TURNED_DOWN)
        refuses(world, "HAProxy gives no connection to the master: NOPERM no right", through)
        haproxy.password = "s"
        refuses(world, "HAProxy gives no connection to the master: NOAUTH Authentication required.", through)
        haproxy.stop()
        refuses(world, "HAProxy gives no connection to the master: Connection refused", through)


def test_what_it_is_not_for(world):
    assert run_agent("-f", world.path, "rehearse", "other", "--through", "127.0.0.1:1").stderr == "there is no [service other]\n"
    assert rehearse(world, through="nonsense") == (2, "", "'nonsense' is no address for --through\n")
    world.votes_of_nodes("replication")
    assert rehearse(world) == (2, "", "only Sentinels can be told to replace a master, and this service has none\n")


# ---- with --yes, until it ends ----

def play_writes(world, count=10**6):
    """R1 takes what is written, so often; then it answers with an error. The key's life ends are noted."""
    left = [count]

    def set_bit(_):
        left[0] -= 1
        return 0 if left[0] >= 0 else error("READONLY odd")
    for node in world.nodes:
        node.reply("SETBIT", set_bit)
        for command in ("DEL", "EXPIRE"):
            node.reply(command, 1)


def test_a_key_that_may_not_be_removed(world):
    play_writes(world)
    for reply, words in ((TURNED_DOWN, "NOPERM no right"), (OK_REPLY, "OK"), (["x"], "a reply of another kind than expected")):
        world.nodes[0].reply("DEL", reply)
        code, text, said = rehearse(world, "--yes")
        assert (code, text.count("\n")) == (1, 2)
        assert said.startswith("R1 refuses DEL sentinel-spoa:rehearsal:") and said.endswith(f": {words}\n")
    assert not world.nodes[0].times_asked("SETBIT")


def test_writes_that_fail_at_once(world):
    play_writes(world, 50)
    code, text, said = rehearse(world, "--yes")
    assert code == 1 and "Writing through HAProxy to the key sentinel-spoa:rehearsal:" in text and "READONLY odd" in text
    assert said == "no rehearsal: the writes fail already, or are slow\n"
    assert world.nodes[0].times_asked("SETBIT") >= 51 and world.nodes[0].times_asked("DEL") == 2 and world.nodes[1].times_asked("DEL") == 0
    assert not any(sentinel.times_asked("SENTINEL FAILOVER") for sentinel in world.sentinels)


def test_a_key_that_stays(world):
    """It cannot be removed at the end, or nobody is a master then."""
    play_writes(world, 50)
    dels = iter([1, TURNED_DOWN])
    world.nodes[0].reply("DEL", lambda _: next(dels))
    _, _, said = rehearse(world, "--yes")
    assert said.splitlines()[1].endswith(": NOPERM no right") and said.endswith(" could not be removed: it goes by itself after 600 s\n")
    play_writes(world, 50)
    roles = iter([["master", 0, []], ["slave", "127.0.0.1", "1", "connected", 0]])
    world.nodes[0].reply("ROLE", lambda _: next(roles))
    _, _, said = rehearse(world, "--yes")
    assert said.splitlines()[1].endswith(" could not be removed: it goes by itself after 600 s")


def test_a_failover_that_is_refused(world):
    play_writes(world)
    for reply, words in ((error("INPROG busy"), "INPROG busy"), (7, "a reply of another kind than expected")):
        world.sentinels[0].reply("SENTINEL FAILOVER", reply)
        code, text, said = rehearse(world, "--yes")
        assert (code, said) == (1, f"no rehearsal: the Sentinel {world.sentinels[0].where} refuses SENTINEL FAILOVER mymaster: {words}\n")
        assert "ordered" not in text
    assert not any(sentinel.times_asked("SENTINEL FAILOVER") for sentinel in world.sentinels[1:])
    world.nodes[0].reply("EXPIRE", TURNED_DOWN)
    code, _, said = rehearse(world, "--yes")
    assert code == 1 and said.startswith("R1 refuses EXPIRE sentinel-spoa:rehearsal:") and world.sentinels[0].times_asked("SENTINEL FAILOVER") == 2


class Bits:
    """The key, where HAProxy leads and where it is looked for afterwards."""

    def __init__(self):
        self.bits = bytearray(2000)

    def set(self, words):
        number = int(words[2])
        self.bits[number // 8] |= 0x80 >> number % 8
        return 0

    def get(self, _):
        return Raw(b"$%d\r\n%s\r\n" % (len(self.bits), self.bits))


class Way(FakeSentinel):
    """HAProxy, and who is behind it. It knows which connection is idle since its greeting."""

    def __init__(self):
        self.greeted = {}
        super().__init__()

    def execute(self, sock, words, known):
        if words[0] == "PING":
            self.greeted[sock] = time.monotonic()
        else:
            self.greeted.pop(sock, None)
        return super().execute(sock, words, known)

    def cut_idle(self):
        for sock, when in list(self.greeted.items()):
            if when < time.monotonic() - 0.2:
                shut(sock)


@pytest.mark.parametrize("loses", [False, True])
def test_a_failover_that_is_played(world, loses):
    """HAProxy leads to the new master at once, and the old one follows it. A Sentinel whose connection breaks is called again."""
    bits = Bits()
    with Way() as haproxy:
        def promote(_):
            for sentinel in world.sentinels:
                sentinel.master = world.address(1)
            world.nodes[1].reply("ROLE", ["master", 0, []])
            world.nodes[0].reply("ROLE", ["slave", *map(str, world.address(1)), "connected", 0])
            haproxy.reply("INFO SERVER", f"run_id:{ID.format(0xabd)}\r\n")
            haproxy.cut_idle()
            world.sentinels[2].drop()
            if loses:
                bits.bits[:12] = bytes(12)
            return OK_REPLY
        play_writes(world)
        world.nodes[1].reply("GET", bits.get)
        haproxy.reply("INFO SERVER", f"run_id:{ID.format(0xabc)}\r\n")
        haproxy.reply("SETBIT", bits.set)
        haproxy.reply("EXPIRE", 1)
        world.sentinels[0].reply("SENTINEL FAILOVER", promote)
        code, text, said = rehearse(world, "--yes", through=haproxy.where)
        assert (code, said) == (1 if loses else 0, ""), text
        assert f"      +0 ms  SENTINEL FAILOVER mymaster ordered at {world.sentinels[0].where}\n" in text
        for words in ("a first Sentinel names R2", "a majority of the Sentinels names R2", "first write acknowledged by R2", "the old session to R1 is cut"):
            assert f" ms  {words}" in text, text
        assert text.endswith("OK: all writes ended on R2.\n") != loses, text
        assert world.nodes[1].times_asked("GET") == world.nodes[1].times_asked("DEL") == 1
        assert haproxy.times_asked("SETBIT") >= 300
        assert [sentinel.accepted for sentinel in world.sentinels] == [1, 1, 2]
