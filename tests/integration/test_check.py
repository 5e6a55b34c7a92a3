"""What `check` finds, finding by finding: all that it asks is played, and the whole of what it says is looked at. What real
programs make of it is in test_doctor.py and test_mistakes.py."""

import contextlib
import json
import re
import subprocess

import pytest
from fake_sentinel import GET_MASTER, HANG, FakeSentinel, Raw, error
from netns import Network, inside, why_not
from rig import agent_words, run_agent

NOT_HERE = why_not()
needs_namespaces = pytest.mark.skipif(NOT_HERE is not None, reason=str(NOT_HERE))

ID = "{:040x}"
TURNED_DOWN = error("NOPERM no right")


def fields(*pairs):
    return [str(word) for pair in pairs for word in pair]


class World:
    """Three Sentinels and the nodes R1 and R2 in good health, and the file that names them."""

    def __init__(self, stack, directory):
        self.path = directory / "agent.conf"
        self.sentinels = [stack.enter_context(FakeSentinel()) for _ in range(3)]
        self.nodes = [stack.enter_context(FakeSentinel()) for _ in range(2)]
        self.facts = {"down-after-milliseconds": 5000, "quorum": 2, "num-other-sentinels": 2, "last-ok-ping-reply": 100, "flags": "master"}
        for sentinel in self.sentinels:
            sentinel.master = self.address(0)
            sentinel.reply("SENTINEL MASTER ", lambda _: fields(("ip", "127.0.0.1"), ("port", self.nodes[0].port), *self.facts.items()))
            sentinel.reply("SENTINEL REPLICAS", [self.replica(self.nodes[1].port)])
        self.roles("master", "slave")
        for i, node in enumerate(self.nodes):
            node.reply("INFO SERVER", f"# Server\r\nrun_id:{ID.format(0xabc + i)}\r\n")
            node.reply("INFO REPLICATION", "role:master\r\nmin_slaves_good_slaves:1\r\n")
        self.edit(agent="", sentinels="", service="park = 20s", more="")

    def address(self, index):
        return ("127.0.0.1", self.nodes[index].port)

    def replica(self, port, master_port=None, **more):
        good = {"flags": "slave", "master-link-status": "ok", "slave-priority": 100}
        return fields(("ip", "127.0.0.1"), ("port", port), ("master-host", "127.0.0.1"), ("master-port", master_port or self.nodes[0].port),
                      *{**good, **more}.items())

    def roles(self, *roles):
        for node, role in zip(self.nodes, roles):
            node.reply("ROLE", ["master", 0, []] if role == "master" else ["slave", *map(str, self.address(0)), "connected", 0])

    def edit(self, **sections):
        self.sections = {**getattr(self, "sections", {}), **sections}
        addresses = "".join(f"address = {one.where}\n" for one in self.sentinels)
        servers = "".join(f"server = R{i + 1} {one.where}\n" for i, one in enumerate(self.nodes))
        self.write("[agent]\n{agent}\n[sentinels]\nADDRESSES{sentinels}\n[service mymaster]\nSERVERS{service}\n{more}\n".format(**self.sections)
                   .replace("ADDRESSES", addresses).replace("SERVERS", servers))

    def votes_of_nodes(self, source, *replies):
        """Both nodes vote, and there are no Sentinels. Each says this."""
        addresses = "".join(f"address = {one.where}\n" for one in self.nodes)
        servers = "".join(f"server = R{i + 1} {one.where}\n" for i, one in enumerate(self.nodes))
        slot = "slot = 5461\n" if source == "cluster" else ""
        self.write(f"[agent]\n[nodes all]\nsource = {source}\n{addresses if slot else ''}[service mymaster]\nnodes = all\n{servers}{slot}park = 20s\n")
        for node in self.nodes:
            for command, reply in replies:
                node.reply(command, reply)

    def write(self, text):
        self.path.write_text(text)
        self.path.chmod(0o600)

    def check(self, *words):
        """What is told as JSON."""
        done = run_agent("-f", self.path, "check", "--json", *words)
        said = json.loads(done.stdout)
        assert done.returncode == (1 if said["findings"] else 0), done
        return said

    def text(self):
        return run_agent("-f", self.path, "check").stdout

    def find(self, *words):
        """(code, subjects, the line of the file, message, what to write) of each finding."""
        lines = ["", *self.path.read_text().splitlines()]
        return [(one["code"], one["subject"], lines[one["line"] or 0], one["message"], one["fix"]) for one in self.check(*words)["findings"]]

    def only(self):
        found = self.find()
        assert len(found) == 1, found
        return found[0]


@pytest.fixture(name="world")
def make_world(tmp_path):
    with contextlib.ExitStack() as stack:
        yield World(stack, tmp_path)


def test_all_is_well(world):
    said = world.check()
    assert said["findings"] == [] and said["user"] is None and said["haproxys"] == [] and said["warnings"] == []
    assert said["voters"] == [{"group": "", "address": one.where, "identity": one.myid} for one in world.sentinels]
    assert said["services"] == [{
        "name": "mymaster", "master": world.nodes[0].where,
        "votes": [{"voter": one.where, "address": world.nodes[0].where, "server": "R1"} for one in world.sentinels],
        "nodes": [{"server": "R1", "address": world.nodes[0].where, "role": "master"}, {"server": "R2", "address": world.nodes[1].where, "role": "slave"}]}]
    where = world.nodes[0].where
    assert world.text() == ("[sentinels]\n" + "".join(f"    {one.where:<24} {one.myid}\n" for one in world.sentinels) + "\n[service mymaster]\n" +
                            "".join(f"    {one.where:<24} names {where:<24} {'R1':<12} master\n" for one in world.sentinels) +
                            f"    {'R1':<12} {where:<24} master\n    {'R2':<12} {world.nodes[1].where:<24} slave\n\n0 findings\n")


# ---- what a Sentinel is set to ----

def all_of(world):
    return [one.where for one in world.sentinels]


@pytest.mark.parametrize("silent, is_found", [(1199, False), (1200, True)])
def test_a_master_that_is_silent(world, silent, is_found):
    world.facts["last-ok-ping-reply"] = silent
    assert world.find() == ([("silent-master", all_of(world), "[service mymaster]", "the master has not been heard for more than 1200 ms", None)]
                            if is_found else [])


@pytest.mark.parametrize("down_after, is_found", [(0, False), (4999, False), (5000, True)])
def test_a_down_after_that_does_nothing(world, down_after, is_found):
    world.edit(service=f"park = 20s\ndown-after = {down_after}")
    assert world.find() == ([("idle-down-after", all_of(world), "down-after = 5000", "down-after-milliseconds is 5000, so 'down-after' 5000 has no effect",
                              "make 'down-after' shorter than that")] if is_found else [])


@pytest.mark.parametrize("vote_life, is_found", [(4999, False), (5000, True)])
def test_a_vote_that_lives_long(world, vote_life, is_found):
    world.edit(sentinels=f"vote-life = {vote_life}")
    assert world.find() == ([("long-vote-life", all_of(world), "vote-life = 5000", "down-after-milliseconds is 5000, and 'vote-life' 5000",
                              "lower 'vote-life' (and 'poll'), or raise down-after-milliseconds")] if is_found else [])


@pytest.mark.parametrize("park, is_found", [("6999", True), ("7000", False), ("0", False), ("auto", False)])
def test_a_park_that_is_short(world, park, is_found):
    world.edit(service=f"park = {park}")
    assert world.find() == ([("short-park", all_of(world), f"park = {park}",
                              "down-after-milliseconds is 5000, and 'park' 6999: clients are refused before the new master is named",
                              "write `park = 7000ms` in [service mymaster], and a `timeout processing` that is longer in HAProxy's spoe.conf; "
                              "or lower down-after-milliseconds")] if is_found else [])


@pytest.mark.parametrize("quorum, is_found", [(3, False), (4, True)])
def test_a_quorum_that_is_never_there(world, quorum, is_found):
    world.facts["quorum"] = quorum
    assert world.find() == ([("sentinel-quorum", all_of(world), "[sentinels]", "its quorum is 4 of 3 Sentinels: it will never fail over", None)]
                            if is_found else [])


def test_a_number_of_sentinels_that_differs(world):
    world.facts["num-other-sentinels"] = 3
    assert world.find() == [("sentinel-count", all_of(world), "[sentinels]", "it knows of 4 Sentinels, configured are 3",
                             "list all of them, or say SENTINEL RESET there")]
    for sentinel in world.sentinels:
        sentinel.reply("SENTINEL SENTINELS", TURNED_DOWN)
    assert [one[0] for one in world.find()] == ["sentinel-count", "voter-rights"]
    assert world.find()[1][4] == "there: `ACL SETUSER default +sentinel|sentinels`"


def test_a_sentinel_that_is_not_listed(world):
    """By its address, or by its identity under another address, a listed one is known."""
    one, other = world.sentinels[1:]
    world.facts["num-other-sentinels"] = 3
    for sentinel in world.sentinels:
        sentinel.reply("SENTINEL SENTINELS", [fields(("ip", "127.0.0.1"), ("port", world.sentinels[0].port), ("runid", ID.format(0xf5))),
                                              fields(("ip", "127.0.0.1"), ("port", one.port), ("runid", ID.format(0xf1))),
                                              fields(("ip", "10.0.0.9"), ("port", 26379), ("runid", other.myid)),
                                              fields(("ip", ""), ("port", 26379), ("runid", ID.format(0xf2))),
                                              fields(("ip", "10.0.0.8"), ("port", 26379), ("runid", ID.format(0xf3))),
                                              fields(("ip", "10.0.0.7"), ("port", 26379), ("runid", ID.format(0xf4)))])
    assert world.find() == [("unlisted-sentinel", [where], "[sentinels]", "the other Sentinels know this one, and it is not listed: its vote is missing",
                             f"write `address = {where}` in [sentinels] ({world.path}:3)") for where in ("10.0.0.8:26379", "10.0.0.7:26379")]


def test_a_listed_sentinel_that_is_lost_counts(world):
    """The missing one may be it; it is no Sentinel, which is found already."""
    world.facts["num-other-sentinels"] = 1
    world.sentinels[0].reply("SENTINEL MYID", error("ERR unknown command 'SENTINEL'"))
    world.sentinels[0].reply("ROLE", ["master", 0, []])
    assert world.only() == ("not-a-sentinel", [world.sentinels[0].where], f"address = {world.sentinels[0].where}",
                            "this is a Redis, not a Sentinel: it has no vote",
                            "write the address of the Sentinel there: its port is 26379 as a rule")
    world.facts["num-other-sentinels"] = 2
    assert [one[0] for one in world.find()] == ["not-a-sentinel"]
    world.facts["num-other-sentinels"] = 0
    assert world.find()[1][:4] == ("sentinel-count", all_of(world)[1:], "[sentinels]", "it knows of 1 Sentinels, configured are 2")


# ---- replicas ----

@pytest.mark.parametrize("any_address", ["no", "yes"])
def test_a_replica_without_a_server(world, any_address):
    world.edit(service=f"park = 20s\nallow-any-address = {any_address}")
    for sentinel in world.sentinels:
        sentinel.reply("SENTINEL REPLICAS", [world.replica(7009), fields(("ip", "10.0.0.5"), ("port", 7005)), fields(("ip", ""), ("port", 7005))])
    assert world.find() == ([] if any_address == "yes" else [
        ("unmapped-replica", [where], "[service mymaster]", "this is a replica that no 'server' has: as a master it would not be named",
         f"write `server = NAME {where}` in [service mymaster], or `alias={where}` behind the server that it is")
        for where in ("127.0.0.1:7009", "10.0.0.5:7005")])


@pytest.mark.parametrize("replicas", ["no", "yes"])
def test_a_replica_of_a_stranger(world, replicas):
    world.edit(service=f"park = 20s\nreplicas = {replicas}")
    for sentinel in world.sentinels:
        sentinel.reply("SENTINEL REPLICAS", [world.replica(world.nodes[1].port, 7009)])
    assert world.find() == ([] if replicas == "no" else [
        ("unmapped-leader", ["R2"], "[service mymaster]", "it follows 127.0.0.1:7009, which no 'server' has: it is not named as a replica",
         "if this is the master, write `alias=127.0.0.1:7009` behind its server")])
    for sentinel in world.sentinels:
        sentinel.reply("SENTINEL REPLICAS", [world.replica(7008, 7009)])
    assert [one[0] for one in world.find()] == ["unmapped-replica"]
    for sentinel in world.sentinels:
        sentinel.reply("SENTINEL REPLICAS", TURNED_DOWN)
    assert [one[4] for one in world.find()] == ([] if replicas == "no" else ["there: `ACL SETUSER default +sentinel|replicas`"])


# ---- a majority by their own word ----

def test_a_witness(world):
    for sentinel in world.sentinels:
        sentinel.reply("SENTINEL CKQUORUM", error("NOQUORUM 1 usable Sentinels."))
    assert world.find() == []
    world.edit(service="park = 20s\nwitness = yes")
    assert world.only() == ("sentinel-majority", all_of(world), "[service mymaster]", "SENTINEL CKQUORUM says: NOQUORUM 1 usable Sentinels.", None)
    for sentinel in world.sentinels:
        sentinel.reply("SENTINEL CKQUORUM", TURNED_DOWN)
    assert world.only()[::4] == ("voter-rights", "there: `ACL SETUSER default +sentinel|ckquorum`")
    for sentinel in world.sentinels:
        sentinel.reply("SENTINEL CKQUORUM", Raw(b"+OK 3 usable Sentinels\r\n"))
    assert world.find() == []


# ---- votes ----

def test_who_names_nobody(world):
    one, other, third = world.sentinels
    one.reply(GET_MASTER, error("ERR odd"))
    other.reply(GET_MASTER, ["127.0.0.1"])
    third.reply(GET_MASTER, TURNED_DOWN)
    found = world.find()
    assert found[:2] == [("no-vote", [one.where], "[service mymaster]", "it names nobody: ERR odd", None),
                         ("no-vote", [other.where], "[service mymaster]", "it names nobody: no master in its reply", None)]
    assert found[-1][:1] + found[-1][3:] == ("voter-rights", "the user lacks rights: +sentinel|get-master-addr-by-name",
                                             "there: `ACL SETUSER default +sentinel|get-master-addr-by-name`")
    assert len(found) == 3 and not any(sentinel.times_asked("SENTINEL MASTER ") for sentinel in world.sentinels)
    text = world.text()
    assert text.count("names nobody\n") == 3 and world.check()["services"][0]["master"] is None
    assert [vote["address"] for vote in world.check()["services"][0]["votes"]] == [None] * 3


@pytest.mark.parametrize("names, nearest", [([], "NAME"), (["cache"], "cache"), (["mymastre", "cache"], "mymastre"),
                                            (["cache", "mymastre", "mymastres"], "mymastre")])
def test_a_master_that_nobody_knows(world, names, nearest):
    for sentinel in world.sentinels:
        sentinel.master = None
        sentinel.reply("SENTINEL MASTERS", [["name", name] for name in names])
    assert world.only() == ("unknown-monitor", all_of(world), "[service mymaster]", "no master is known there by the name 'mymaster'",
                            f"write `monitor = {nearest}` in [service mymaster]")


def test_two_of_three_are_a_majority(world):
    world.sentinels[2].master = world.address(1)
    assert world.find() == []
    world.sentinels[1].master = ("127.0.0.1", 7009)
    assert world.only() == ("no-majority", ["mymaster"], "[service mymaster]", "no 2 Sentinels name the same master: nobody will be named", None)
    assert re.search(r"names 127.0.0.1:7009 +not in map +master$", world.text(), re.MULTILINE)
    assert [vote["server"] for vote in world.check()["services"][0]["votes"]] == ["R1", None, "R2"]


def test_the_majority_that_comes_late(world):
    """The first Sentinel is not of it. Two addresses of one server are one node."""
    world.sentinels[0].master = world.address(1)
    assert world.find() == [] and world.check()["services"][0]["master"] == world.nodes[0].where
    world.path.write_text(world.path.read_text().replace(f"R1 {world.nodes[0].where}", f"R1 {world.nodes[0].where} alias=127.0.0.1:7009"))
    world.sentinels[1].master = ("127.0.0.1", 7009)
    assert world.find() == []


def test_votes_without_an_identity_do_not_count(world):
    """One identity twice is one vote, and so is none."""
    one, other, third = world.sentinels
    third.master, other.myid = world.address(1), one.myid
    assert world.find() == [
        ("same-identity", [other.where], f"address = {other.where}", f"this and {one.where} are one Sentinel (its identity): they have one vote",
         "give each an address of its own, and each its own configuration file"),
        ("no-majority", ["mymaster"], "[service mymaster]", "no 2 Sentinels name the same master: nobody will be named", None)]
    third.reply("SENTINEL MYID", "nonsense")
    assert [found[0] for found in world.find()] == ["no-identity", "same-identity"]


@pytest.mark.parametrize("any_address", ["no", "yes"])
def test_a_master_without_a_server(world, any_address):
    world.edit(service=f"park = 20s\nallow-any-address = {any_address}")
    for sentinel in world.sentinels:
        sentinel.master = ("127.0.0.1", 7009)
    world.roles("slave", "slave")
    assert world.find() == ([] if any_address == "yes" else [
        ("unmapped-master", ["127.0.0.1:7009"], "[service mymaster]", "a majority names this address, which no 'server' has: nobody will be named",
         "write `server = NAME 127.0.0.1:7009` in [service mymaster], or `alias=127.0.0.1:7009` behind the server that it is")])


@needs_namespaces
@pytest.mark.parametrize("is_far, named, server, is_found", [
    (True, "127.0.0.1", "10.0.0.1", True), (False, "127.0.0.1", "10.0.0.1", False), (True, "10.0.0.1", "10.0.0.1", False),
    (True, "127.0.0.1", "10.0.0.1:7001 alias=127.0.0.1", False), (True, "127.0.0.1", "127.0.0.1", True)])
def test_a_loopback_address_of_another_host(tmp_path, is_far, named, server, is_found):
    path = tmp_path / "agent.conf"
    with Network(2) as network:
        ours, theirs = network.hosts
        host = theirs if is_far else ours
        with inside(host.name), FakeSentinel((named, 7001), host=host.address) as fake:
            path.write_text(f"[agent]\n[sentinels]\naddress = {fake.where}\n[service mymaster]\nserver = R1 {server}:7001\nrole-check = off\n")
            done = subprocess.run([*ours.words(), *agent_words("-f", path, "check", "--json")], stdin=subprocess.DEVNULL, capture_output=True,
                                  text=True, timeout=60, check=False)
        found = [one for one in json.loads(done.stdout)["findings"] if one["code"] == "loopback-address"]
    assert [(one["subject"], one["line"], one["message"], one["fix"]) for one in found] == ([
        ([fake.where], 4, "it is on another host and names 127.0.0.1:7001, which leads to this host here",
         "let it monitor the master by an address that all hosts reach, and write this address in 'server'")] if is_found else [])


# ---- identity, subscription, refusals ----

def test_a_sentinel_without_an_identity(world):
    one = world.sentinels[0]
    for reply, words in (("nonsense", "no identity"), ("1" * 41, "no identity"), (["x"], "no identity"), (error("ERR odd"), "ERR odd"),
                         (error("ERR unknown command 'SENTINEL'"), "ERR unknown command 'SENTINEL'")):
        one.reply("SENTINEL MYID", reply)
        assert world.only() == ("no-identity", [one.where], "[sentinels]", f"it does not say who it is, so it has no vote: {words}",
                                "it needs SENTINEL MYID of Redis 6.2 or later")
    assert f"    {one.where:<24} no identity\n" in world.text()
    assert world.check()["voters"][0]["identity"] is None
    one.reply("SENTINEL MYID", TURNED_DOWN)
    assert world.only() == ("voter-rights", [one.where], "[sentinels]", "the user lacks rights: +sentinel|myid",
                            "there: `ACL SETUSER default +sentinel|myid`")


@pytest.mark.parametrize("words, right", [("NOPERM no channel", "&+switch-master"), ("NOPERM no command", "+subscribe"), ("ERR odd", None)])
def test_a_subscription_that_is_refused(world, words, right):
    one = world.sentinels[0]
    one.reply("SUBSCRIBE", error(words))
    if right is None:
        assert world.only() == ("voter-refuses", [one.where], "[sentinels]", "SUBSCRIBE is refused: ERR odd", None)
    else:
        assert world.only()[3:] == (f"the user lacks rights: {right}", f"there: `ACL SETUSER default {right}`")
    world.edit(sentinels="subscribe = no")
    assert world.find() == []


def test_settings_that_are_refused(world):
    one = world.sentinels[0]
    one.reply("SENTINEL MASTER ", error("ERR No such master with that name"))
    assert world.find() == []
    one.reply("SENTINEL MASTER ", error("ERR odd"))
    assert world.only() == ("voter-refuses", [one.where], "[sentinels]", "SENTINEL MASTER is refused: ERR odd", None)
    one.reply("SENTINEL MASTER ", TURNED_DOWN)
    one.reply("SUBSCRIBE", error("NOPERM no command"))
    assert world.only()[3] == "the user lacks rights: +subscribe +sentinel|master"


def test_rights_of_another_user(world):
    """A right that lacks twice is written once."""
    servers = "".join(f"server = R{i + 1} {node.where}\n" for i, node in enumerate(world.nodes))
    world.edit(sentinels="username = agent\npassword = s", more=f"[service other]\nmonitor = mymaster\n{servers}park = 20s\n")
    for sentinel in world.sentinels:
        sentinel.password = "s"
        sentinel.reply("SENTINEL MASTER ", TURNED_DOWN)
    assert world.only()[3:] == ("the user lacks rights: +sentinel|master", "there: `ACL SETUSER agent +sentinel|master`")


def test_passwords_of_sentinels(world):
    for sentinel in world.sentinels:
        sentinel.password = "s"
    assert world.only() == ("voter-password", all_of(world), "[sentinels]", "a password is asked for: NOAUTH Authentication required.",
                            f"set `password` or `password-file` in [sentinels] ({world.path}:3)")
    world.edit(sentinels="password = wrong")
    assert world.only() == ("voter-password", all_of(world), "password = wrong", "the password is refused: WRONGPASS no",
                            f"correct `password` or `password-file` in [sentinels] ({world.path}:7)")
    secret = world.path.with_name("secret")
    secret.write_text("wrong\n")
    secret.chmod(0o600)
    world.edit(sentinels=f"password-file = {secret}")
    assert world.only()[1:3] == (all_of(world), f"password-file = {secret}")


def test_a_sentinel_that_has_gone(world):
    one, other, _ = world.sentinels
    one.stop()
    other.reply("SENTINEL MYID", HANG)
    assert world.find() == [("voter-unreachable", [one.where], "[sentinels]", "it cannot be reached: Connection refused", None),
                            ("voter-unreachable", [other.where], "[sentinels]", "it does not answer: no reply", None)]
    assert world.text().count("names nobody\n") == 2


# ---- nodes ----

def test_roles_against_the_majority(world):
    world.roles("slave", "slave")
    assert world.only() == ("not-a-master", ["R1"], "[service mymaster]", "a majority names it, and it says that it is no master", None)
    world.roles("master", "master")
    assert world.only() == ("second-master", ["R2"], "[service mymaster]", "it says that it is a master too: writes there are lost", None)
    world.sentinels[1].master, world.sentinels[2].master = world.address(1), ("127.0.0.1", 7009)
    assert [one[0] for one in world.find()] == ["no-majority"]


@pytest.mark.parametrize("role_check", ["off", "veto"])
def test_a_node_that_does_not_tell_its_role(world, role_check):
    world.edit(service=f"park = 20s\nrole-check = {role_check}")

    def told(reply):
        world.nodes[0].reply("ROLE", reply)
        found = world.find()
        assert [one[1] for one in found] in ([], [["R1"]])
        return [(code, *rest) for code, _, *rest in found]
    place, off = "[service mymaster]", role_check == "off"
    assert told(TURNED_DOWN) == ([] if off else [("node-rights", place, "the user lacks the right +role: 'role-check' does nothing",
                                                  "there: `ACL SETUSER default +role`")])
    assert told(error("LOADING data")) == ([] if off else [
        ("no-role", place, "ROLE is refused, so 'role-check' does nothing: LOADING data (it loads its data, and serves no client until that is done)", None)])
    assert told(["sentinel", []]) == ([] if off else [("not-a-node", f"server = R1 {world.nodes[0].where}", "this is a Sentinel, not a Redis",
                                                       "write the address of the Redis there: its port is 6379 as a rule")])
    assert told(["active-replica"]) == ([] if off else [
        ("no-role", place, "it takes writes although it follows another node (KeyDB's active-replica): no node is the master: "
                           "'role-check' does nothing there", None)])
    assert told("x") == ([] if off else [("no-role", place, "its reply to ROLE says neither master nor replica: 'role-check' does nothing there", None)])
    assert f"    {'R1':<12} {world.nodes[0].where:<24} role not known\n" in world.text()
    assert world.check()["services"][0]["nodes"][0]["role"] is None


@pytest.mark.parametrize("role_check", ["off", "veto"])
def test_passwords_of_nodes(world, role_check):
    off = role_check == "off"
    world.nodes[0].password = "s"

    def told(service):
        world.edit(service=f"park = 20s\nrole-check = {role_check}\n{service}")
        return world.find()
    assert told("") == ([] if off else [
        ("node-password", ["R1"], "[service mymaster]", "a password is asked for, and without it 'role-check' does nothing: NOAUTH Authentication required.",
         f"set `password` or `password-file` in [service mymaster] ({world.path}:8)")])
    world.nodes[1].password = "t"
    found = told("password = t")
    assert found == ([] if off else [
        ("node-password", ["R1"], "password = t", "the password is refused, so 'role-check' does nothing: WRONGPASS no",
         f"correct `password` or `password-file` in [service mymaster] ({world.path}:13)")])
    secret = world.path.with_name("secret")
    secret.write_text("t\n")
    secret.chmod(0o600)
    assert [one[2] for one in told(f"password-file = {secret}")] == ([] if off else [f"password-file = {secret}"])


def test_rights_of_a_user_of_nodes(world):
    world.edit(service="park = 20s\nusername = probe\npassword = t")
    for node in world.nodes:
        node.password = "t"
        node.reply("ROLE", TURNED_DOWN)
    assert world.only()[1:5:3] == (["R1", "R2"], "there: `ACL SETUSER probe +role`")


def test_a_node_that_has_gone(world):
    world.nodes[1].stop()
    assert world.only() == ("node-unreachable", ["R2"], "[service mymaster]", "it cannot be reached: Connection refused", None)


@pytest.mark.parametrize("max_lag, parts, is_found", [("10s", 2, True), ("10s", 3, False), ("0", 2, False)])
def test_a_master_that_tells_no_lag(world, max_lag, parts, is_found):
    world.edit(service=f"park = 20s\nreplicas = yes\nmax-lag = {max_lag}")
    world.nodes[0].reply("ROLE", ["master", 0, []][:parts])
    assert world.find() == ([("no-lag", ["R1"], "[service mymaster]",
                              "it does not say how far its replicas are, as with Dragonfly: 'max-lag' cannot be met", None)] if is_found else [])


@pytest.mark.parametrize("down_after, info, own, is_found", [
    (10001, "role:master\r\n", "0", True), (10000, "role:master\r\n", "0", False), (10001, "role:slave\r\n", "0", False),
    (10001, "role:master\r\nmin_slaves_good_slaves:1\r\n", "0", False), (10001, "role:master\r\n", "3s", False)])
def test_a_loss_without_bounds(world, down_after, info, own, is_found):
    """The longest time that a Sentinel tells counts."""
    told = iter([5000, down_after, 5000])
    replies = {one: next(told) for one in world.sentinels}
    for one, time in replies.items():
        one.reply("SENTINEL MASTER ", fields(("ip", "127.0.0.1"), ("port", world.nodes[0].port), *{**world.facts, "down-after-milliseconds": time}.items()))
    world.edit(service=f"park = 20s\ndown-after = {own}")
    world.nodes[0].reply("INFO REPLICATION", info)
    assert world.find() == ([("unbounded-loss", ["R1"], "[service mymaster]", "down-after-milliseconds is 10001, and nothing bounds what is lost if the "
                              "master is cut off from the Sentinels", "set 'down-after', or min-replicas-to-write in Redis")] if is_found else [])


# ---- nodes that vote ----

def test_nodes_that_vote_by_role(world):
    world.votes_of_nodes("replication")
    assert world.find() == []
    assert world.text().startswith(f"[nodes all]\n    {world.nodes[0].where:<24} {ID.format(0xabc)}\n")
    assert world.check()["voters"][1] == {"group": "all", "address": world.nodes[1].where, "identity": ID.format(0xabd)}
    world.nodes[1].reply("INFO SERVER", f"run_id:{ID.format(0xabc)}\r\n")
    assert (world.find()[0][0], world.find()[0][3]) == ("same-identity", f"this and {world.nodes[0].where} are one node (its identity): they have one vote")
    world.nodes[1].reply("INFO SERVER", "redis_version:7\r\n")
    found = world.find()
    assert found[0][0] == "no-identity" and found[0][4] == "it needs INFO with a run_id"
    assert found[0][3] == ("it does not say who it is, so it has no vote: INFO has no run_id, as with Dragonfly. Such a server cannot vote; "
                           "Sentinels can, for it")


def test_nodes_that_vote_by_role_and_do_not(world):
    world.votes_of_nodes("replication", ("ROLE", TURNED_DOWN))
    assert [(one[0], one[3]) for one in world.find()] == [("node-rights", "the user lacks the right +role: 'role-check' does nothing"),
                                                          ("voter-rights", "the user lacks rights: +role")]
    world.votes_of_nodes("replication", ("ROLE", ["active-replica"]), ("INFO SERVER", TURNED_DOWN))
    found = world.find()
    assert found[0][3].startswith("it names nobody: it takes writes although") and found[-1][3] == "the user lacks rights: +info"
    world.votes_of_nodes("replication", ("ROLE", ["master", 0, []]), ("INFO SERVER", f"run_id:{ID.format(0xabc)}\r\n"))
    world.nodes[1].reply("INFO SERVER", f"run_id:{ID.format(0xabd)}\r\n")
    assert world.find() == [("no-majority", ["mymaster"], "[service mymaster]", "no 2 nodes name the same master: nobody will be named", None)]


def test_a_voting_node_that_has_gone(world):
    """It is told once."""
    world.votes_of_nodes("replication")
    world.nodes[1].stop()
    assert [one[:2] for one in world.find()] == [("voter-unreachable", [world.nodes[1].where])]


def test_nodes_of_a_cluster(world):
    def owns(*range_of_slots):
        return ("CLUSTER SLOTS", [[*range_of_slots, ["127.0.0.1", world.nodes[0].port, ID.format(1)]]])
    ids = iter((ID.format(1), ID.format(2)) * 10)
    world.votes_of_nodes("cluster", owns(0, 16383), ("CLUSTER MYID", lambda _: next(ids)))
    assert world.find() == []
    world.votes_of_nodes("cluster", ("CLUSTER SLOTS", [[0, 16383, ["?", 7001, ID.format(1)]]]))
    assert world.only()[3] == ("it names nobody: the slot's owner has no address, or a host that is not known ('?'): "
                               "set cluster-announce-hostname")
    for reply in ([], "x"):
        world.votes_of_nodes("cluster", ("CLUSTER SLOTS", reply))
        assert world.only()[3] == "it names nobody: no master in its reply"
    world.votes_of_nodes("cluster", ("CLUSTER SLOTS", TURNED_DOWN), ("CLUSTER MYID", TURNED_DOWN))
    assert world.only()[3] == "the user lacks rights: +cluster|myid +cluster|slots"
    world.votes_of_nodes("cluster", owns(5461, 5461), ("CLUSTER MYID", "x"))
    assert world.only()[3:] == ("it does not say who it is, so it has no vote: no identity", "it needs CLUSTER MYID")
