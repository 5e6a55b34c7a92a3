"""What `check` finds about HAProxy: its runtime API, played, and who may connect to which UNIX socket. Sentinels and nodes are
played, too, and well."""

import contextlib
import json
import os
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path

import pytest
from fake_agent import FakeAgent
from fake_api import TRY, FakeApi
from own_etc import OwnEtc, needs_root
from rig import agent_words
from test_check import World
from test_doctor import haproxy_files


class Api(FakeApi):
    """One that notes what it is asked, and says what is in `says`."""

    def __init__(self, path):
        self.says, self.asked = {}, []
        super().__init__(path)

    def answer(self, command):
        self.asked.append(command)
        return self.says[command] if command in self.says else super().answer(command)


@pytest.fixture(name="folder")
def make_folder():
    """One that every user may enter."""
    path = Path(tempfile.mkdtemp(prefix="sentinel-spoa-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


@pytest.fixture(name="world")
def make_world(folder):
    with contextlib.ExitStack() as stack:
        yield World(stack, folder)


@pytest.fixture(name="api")
def make_api(world, folder):
    """One whose backend `b` the agent's file names."""
    with Api(folder / "api.sock") as made:
        world.edit(more=f"[haproxy]\nruntime-api = {made.path}\nbackend = b")
        yield made


# ---- the runtime API ----

def test_all_is_well(world, api):
    said = world.check()
    assert said["findings"] == [] and said["haproxys"] == [{"address": f"unix:{api.path}", "version": "3.2"}]
    assert api.asked == ["show info", TRY, "get weight b/R1", "get weight b/R2"]
    text = world.text()
    assert f"\n[haproxy] unix:{api.path} HAProxy 3.2\n" in text and text.endswith("\n0 findings\n")
    assert f"The agent is taken to run as the user {said['user']}.\n" in text


def test_weights(world, api):
    api.servers = {"b/R1": 0, "b/R2": 1}
    fix = "write `default-server weight 0` in backend b of HAProxy"
    words = "the weight is not 0: HAProxy sends clients there for whom nobody is named"
    assert world.find() == [("server-weight", ["b/R2"], "backend = b", words, fix)]
    world.edit(service="park = 20s\nbackend = c", more=f"[haproxy]\nruntime-api = {api.path}\nbackend = b")
    api.servers = {"c/R1": 100, "c/R2": 0}
    assert world.find() == [("server-weight", ["c/R1"], "backend = c", words, fix.replace("b of", "c of"))]
    api.servers = {}
    assert world.find() == [("missing-server", ["c/R1", "c/R2"], "backend = c", "HAProxy has no server of this name: No such server. ", None)]
    api.says = {f"get weight c/R{i}": "something else\n" for i in (1, 2)}
    assert world.find() == []


def test_a_backend_that_is_not_there(world, api):
    """It is asked about no other server of it, and told once, although two HAProxys say it."""
    api.says["get weight b/R1"] = "No such backend.\n"
    with Api(f"{api.path}2") as other:
        world.edit(more=f"[haproxy]\nruntime-api = {api.path}\nruntime-api = {other.path}\nbackend = b\nbackend = c")
        other.says["get weight b/R1"] = "No such backend.\n"
        assert world.find() == [("unknown-backend", ["b"], "backend = b", "HAProxy has no such backend: no session is cut there",
                                 "write the name of the backend that has the servers of the map")]
        assert api.asked[2:] == other.asked[2:] == ["get weight b/R1", "get weight c/R1", "get weight c/R2"]
        for one in (api, other):
            one.says, one.servers = {}, {"b/R1": 0, "b/R2": 7, "c/R2": 0}
        assert [one[:2] for one in world.find()] == [("server-weight", ["b/R2"]), ("missing-server", ["c/R1"])]


def test_a_right_that_lacks(world, api):
    api.may_shut = False
    assert world.find() == [("api-level", [f"unix:{api.path}"], f"runtime-api = {api.path}", "the agent may not cut sessions there",
                             "add `level admin` to HAProxy's `stats socket`")]


@pytest.mark.parametrize("text, said, version", [
    ("Name: Other\nVersion: 3.2.1\n", "Name: Other Version: 3.2.1 ", None),
    ("Name: HAProxy\n\nVersion: 3.2.1\n", None, "3.2"),
    ("\n\nName: HAProxy\n", None, None),
    ("x" * 2000, "x" * 80, None),
    ("", " ", None)])
def test_somebody_else(world, api, text, said, version):
    api.says["show info"] = text
    found = world.find()
    assert world.check()["haproxys"][0]["version"] == version
    assert (f"[haproxy] unix:{api.path}\n" in world.text()) == (version is None)
    if said is None:
        assert found == []
        return
    (code, subjects, line, message, fix), = found
    assert (code, subjects, line, fix) == ("api-no-haproxy", [f"unix:{api.path}"], f"runtime-api = {api.path}", None)
    assert message.startswith("this is no HAProxy: it says '") and message.endswith("'") and said.strip() in message and len(message) <= 110


def test_the_second_of_two_is_not_there(world, api):
    world.edit(more=f"[haproxy]\nruntime-api = {api.path}\nruntime-api = {api.path}.none\nbackend = b")
    assert world.find() == [("api-unreachable", [f"unix:{api.path}.none"], f"runtime-api = {api.path}.none",
                             "it cannot be asked, so no session is cut there: No such file or directory", None)]
    assert [one["version"] for one in world.check()["haproxys"]] == ["3.2", None]


def test_the_first_worker_that_is_not_old(world, api):
    """Commands go to it by way of the master."""
    world.edit(more=f"[haproxy]\nruntime-api = master:{api.path}\nbackend = b")
    api.says["show proc"] = ("#<PID> <type> <reloads> <uptime> <version>\n7 master 1 0d00h01m 3.0\n# old workers\n10 worker 1 0d 3.0\n"
                             "# workers\n11 worker 0 0d 3.0\n12 worker 0 0d 3.0\n# programs\n")
    for command in ("show info", TRY, "get weight b/R1", "get weight b/R2"):
        api.says[f"@!11 {command}"] = api.answer(command)
    api.asked.clear()
    assert world.find() == []
    assert [one for one in api.asked if one != "quit"] == ["show proc", "@!11 show info", f"@!11 {TRY}", "@!11 get weight b/R1", "@!11 get weight b/R2"]
    assert f"[haproxy] master:unix:{api.path} HAProxy 3.2\n" in world.text()
    api.says["show proc"] = "# old workers\n10 worker 1 0d 3.0\n"
    assert [one[3] for one in world.find()] == ["it cannot be asked, so no session is cut there: this is no master with workers"]
    api.close()
    assert [one[3] for one in world.find()] == ["it cannot be asked, so no session is cut there: No such file or directory"]
    api.open()


# ---- who may connect to whose socket ----

AGENT, HAPROXY, OTHER = 64998, 64996, 64995


class Accounts:
    """The users sentinel-spoa, haproxy and other, with a group each of the same number."""

    def __init__(self, folder):
        self.etc = OwnEtc(folder)
        names = {"sentinel-spoa": AGENT, "haproxy": HAPROXY, "other": OTHER}
        self.write(names, members="")
        self.names = names

    def write(self, names, members):
        users = "".join(f"{name}:x:{number}:{number}::/:/bin/false\n" for name, number in names.items())
        groups = "".join(f"{name}:x:{number}:{members if name == 'haproxy' else ''}\n" for name, number in names.items())
        (self.etc.folder / "passwd").write_text(f"root:x:0:0::/root:/bin/sh\n{users}")
        (self.etc.folder / "group").write_text(f"root:x:0:\n{groups}")

    def check(self, world, *words, prefix=()):
        done = subprocess.run([*self.etc.words(), *prefix, *agent_words("-f", world.path, "check", "--json", *words)], stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=30, check=False)
        assert done.stderr == "", done
        return json.loads(done.stdout)

    def rights(self, world, *words, **more):
        """What is found of rights: (code, line, the user, what to write)."""
        said = self.check(world, *words, **more)
        return [(one["code"], Path(one["file"]).read_text().splitlines()[one["line"] - 1].strip(), one["message"], one["fix"])
                for one in said["findings"] if one["code"] in ("api-rights", "listen-rights")]


@pytest.fixture(name="accounts")
def make_accounts(folder):
    return Accounts(folder)


def haproxy_file(folder, *lines):
    """haproxy.cfg with these lines in `global`."""
    file = folder / "haproxy.cfg"
    file.write_text("".join(f"{line}\n" for line in ("global", *(f"    {line}" for line in lines))))
    return file


@needs_root
@pytest.mark.parametrize("mode, owner, group, members, user, is_found", [
    (0o660, 0, HAPROXY, "", "", True), (0o660, 0, HAPROXY, "sentinel-spoa", "", False), (0o660, 0, HAPROXY, "", "user = root", False),
    (0o600, AGENT, 0, "", "", False), (0o060, AGENT, AGENT, "", "", True), (0o660, 0, AGENT, "", "", False), (0o606, 0, AGENT, "", "", True),
    (0o602, 0, 0, "", "", False), (0o600, 0, 0, "", "", True), (0o660, 0, HAPROXY, "", "user = other\ngroup = haproxy", False),
    (0o660, 0, HAPROXY, "", "user = other", True), (0o600, 0, 0, "", "user = nobody-here", False),
    (0o600, 0, 0, "", "user = other\ngroup = nobody-here", False)])
def test_the_api_for_the_agent(world, api, accounts, mode, owner, group, members, user, is_found):
    """The socket is there: it is tried. Without HAProxy's file the line is that of the agent."""
    accounts.write(accounts.names, members)
    world.edit(agent=user)
    os.chown(api.path, owner, group)
    os.chmod(api.path, mode)
    name = user.split()[2] if user else "sentinel-spoa"
    assert accounts.rights(world) == ([("api-rights", f"runtime-api = {api.path}", f"the agent's user, {name}, may not connect there: no session is cut",
                                        "write `user haproxy group haproxy mode 660` in its line `stats socket`, and say "
                                        f"`usermod -aG haproxy {name}`")] if is_found else [])
    is_known = "nobody-here" not in user
    assert accounts.check(world)["user"] == (name if is_known else None)


@needs_root
def test_a_folder_on_the_way(world, api, accounts, folder):
    os.chmod(api.path, 0o666)
    assert accounts.rights(world) == []
    folder.chmod(0o700)
    assert len(accounts.rights(world)) == 1


@needs_root
def test_the_user_where_the_package_is_not_installed(world, api, accounts):
    os.chmod(api.path, 0o600)
    accounts.write({"haproxy": HAPROXY}, "")
    assert accounts.check(world)["user"] == "root" and accounts.rights(world) == []


@needs_root
def test_who_is_not_root(world, api, accounts):
    """Only what the user may do that runs the command can be tried."""
    os.chmod(api.path, 0o600)
    world.path.chmod(0o644)
    prefix = ["setpriv", "--clear-groups", "--reuid", str(OTHER), "--regid", str(OTHER)]
    assert [one[2] for one in accounts.rights(world, prefix=prefix)] == ["the agent's user, other, may not connect there: no session is cut"]
    world.edit(agent="user = sentinel-spoa")
    world.path.chmod(0o644)
    assert accounts.rights(world, prefix=prefix) == []
    os.chmod(api.path, 0o666)
    world.edit(agent="")
    world.path.chmod(0o644)
    assert accounts.rights(world, prefix=prefix) == []


@needs_root
@pytest.mark.parametrize("words, is_found", [
    ("", True), ("mode 777", False), ("mode 666", False), ("mode 660", True), ("mode 660 group haproxy", True), ("mode 660 group sentinel-spoa", False),
    ("mode 620 group sentinel-spoa", False), ("mode 640 group sentinel-spoa", True), ("mode 606 group sentinel-spoa", True),
    ("user sentinel-spoa", False), ("user sentinel-spoa mode 066", True), ("mode 600 user other", True), ("mode 600 user nobody-here", False),
    ("mode 600 group nobody-here", False), ("user root group root mode 602", False)])
def test_an_api_that_is_not_there_yet(world, accounts, folder, words, is_found):
    """By its line in HAProxy's file."""
    path = folder / "other.sock"
    world.edit(more=f"[haproxy]\nruntime-api = {path}\nbackend = b")
    file = haproxy_file(folder, "maxconn 10", f"stats socket {path} level admin {words}")
    assert accounts.rights(world, "--haproxy", file) == ([
        ("api-rights", f"stats socket {path} level admin {words}".strip(), "the agent's user, sentinel-spoa, may not connect there: no session is cut",
         "write `user haproxy group haproxy mode 660` in its line `stats socket`, and say `usermod -aG haproxy sentinel-spoa`")] if is_found else [])
    assert accounts.rights(world) == []


@needs_root
def test_an_agent_that_is_nearly_root(world, accounts, folder):
    """A new socket is root's where nobody says it, not that of the user 1 or the group 1."""
    accounts.write({"sentinel-spoa": 1, "haproxy": HAPROXY}, "")
    path = folder / "other.sock"
    world.edit(more=f"[haproxy]\nruntime-api = {path}\nbackend = b")
    for mode, is_found in ((600, True), (660, True), (606, False)):
        file = haproxy_file(folder, f"stats socket {path} mode {mode} level admin")
        assert len(accounts.rights(world, "--haproxy", file)) == is_found


@needs_root
def test_a_user_of_very_many_groups(world, accounts, folder):
    """The first one counts in any case, and none that is not the user's."""
    groups = "".join(f"g{i}:x:{70000 + i}:sentinel-spoa\n" for i in range(300))
    (accounts.etc.folder / "group").open("a").write(groups)
    path = folder / "other.sock"
    world.edit(more=f"[haproxy]\nruntime-api = {path}\nbackend = b")
    for group, is_found in (("sentinel-spoa", False), ("other", True)):
        file = haproxy_file(folder, f"stats socket {path} mode 660 group {group} level admin")
        assert len(accounts.rights(world, "--haproxy", file)) == is_found


@needs_root
def test_the_group_of_the_folder(world, accounts, folder):
    """A new socket has it where the folder hands it down."""
    path = folder / "run/other.sock"
    path.parent.mkdir()
    os.chown(path.parent, 0, AGENT)
    world.edit(more=f"[haproxy]\nruntime-api = {path}\nbackend = b")
    file = haproxy_file(folder, f"stats socket {path} mode 660 level admin")
    assert len(accounts.rights(world, "--haproxy", file)) == 1
    path.parent.chmod(0o2755)
    assert accounts.rights(world, "--haproxy", file) == []


@needs_root
def test_an_api_without_a_path(world, accounts, folder):
    """Whoever may enter the network may connect."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        where = f"127.0.0.1:{listener.getsockname()[1]}"
        world.edit(more=f"[haproxy]\nruntime-api = {where}\nruntime-api = unix:@abstract\nbackend = b")
        file = haproxy_file(folder, f"stats socket {where} mode 600 level admin", "stats socket abns@abstract mode 600 level admin")
        listener.close()
        said = accounts.check(world, "--haproxy", file)
        assert said["user"] is None and accounts.rights(world, "--haproxy", file) == []


USER = "user haproxy"


@needs_root
@pytest.mark.parametrize("words, lines, agent, is_found", [
    ("", [USER], "", True), ("mode=666", [USER], "", False), ("mode=660", [USER], "", True), ("mode=660 group=haproxy", [USER], "", False),
    ("mode=640 group=haproxy", [USER], "", True), ("mode=600 owner=haproxy", [USER], "", False), ("mode=060 owner=haproxy", [USER], "", True),
    ("mode=600 owner=other", [USER], "", True), ("mode=660 group=other", [USER], "", True), ("mode=660 group=other", [USER, "group other"], "", False),
    ("mode=660", [USER], "user = other\ngroup = haproxy", False), ("mode=600", [USER], "user = haproxy", False), ("mode=600", ["user root"], "", False),
    ("mode=600", ["user nobody-here"], "", False), ("mode=600", [USER, "group nobody-here"], "", False), ("mode=600", [], "", False),
    ("mode=600 owner=nobody-here", [USER], "", False), ("mode=600 group=nobody-here", [USER], "", False),
    ("mode=600", ["user root", USER], "", True)])
def test_the_agents_socket_for_haproxy(world, accounts, folder, words, lines, agent, is_found):
    """It is not there yet."""
    listen = f"listen = unix:{folder}/spop.sock {words}".strip()
    world.edit(agent=f"listen = 127.0.0.1:9012\n{listen}\nlisten = unix:@abstract\n{agent}")
    file = haproxy_file(folder, *lines)
    group = "other" if "group other" in lines else "haproxy"
    assert accounts.rights(world, "--haproxy", file) == ([
        ("listen-rights", listen, "HAProxy's user, haproxy, may not connect there: every client is refused",
         f"write `listen = unix:{folder}/spop.sock mode=660 group={group}`")] if is_found else [])


@needs_root
@pytest.mark.parametrize("mode, group, is_found", [(0o600, 0, True), (0o660, HAPROXY, False), (0o660, AGENT, True), (0o602, 0, False)])
def test_the_agents_socket_that_is_there(world, accounts, folder, mode, group, is_found):
    """Its own mode counts, not that of the file."""
    path = folder / "spop.sock"
    world.edit(agent=f"listen = unix:{path} mode={'666' if is_found else '600'}")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        os.chown(path, 0, group)
        path.chmod(mode)
        assert len(accounts.rights(world, "--haproxy", haproxy_file(folder, USER))) == is_found


# ---- HAProxy's files ----

@pytest.mark.parametrize("default_path, file, read", [
    ("", "none.conf", "none.conf"), ("default-path current", "none.conf", "none.conf"), ("default-path config", "none.conf", "FOLDER/none.conf"),
    ("default-path parent", "none.conf", "FOLDER/../none.conf"), ("default-path origin /far/away", "none.conf", "/far/away/none.conf"),
    ("default-path origin /far/away", "/nowhere/none.conf", "/nowhere/none.conf"), ("default-path config", "/nowhere/none.conf", "/nowhere/none.conf")])
def test_where_the_file_of_a_filter_is(world, folder, default_path, file, read):
    haproxy = haproxy_file(folder, default_path)
    haproxy.write_text(haproxy.read_text() + f"frontend f\n    filter spoe engine e config {file}\n    filter spoe engine e config {file}\n")
    found = [one for one in world.check("--haproxy", haproxy)["findings"] if one["code"] == "unreadable-file"]
    assert [(one["file"], one["line"], one["message"]) for one in found] == [
        (read.replace("FOLDER", str(folder)), None, "it cannot be read: No such file or directory")]


def test_a_file_named_without_its_folder(world, folder):
    haproxy_file(folder, "default-path config").open("a").write("frontend f\n    filter spoe engine e config none.conf\n")
    done = subprocess.run(agent_words("-f", world.path, "check", "--json", "--haproxy", "haproxy.cfg"), cwd=folder, stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=30, check=False)
    assert [one["file"] for one in json.loads(done.stdout)["findings"] if one["code"] == "unreadable-file"] == ["none.conf"]


def test_what_cannot_be_read(world, folder):
    """What cannot be read is told, and nothing of what is not there."""
    nothing = world.check("--haproxy", folder / "none.cfg")["findings"]
    assert [(one["code"], one["file"], one["message"]) for one in nothing] == [
        ("unreadable-file", str(folder / "none.cfg"), "it cannot be read: No such file or directory")]
    both = world.check("--haproxy", haproxy_file(folder, "#" * 5000), "--haproxy", folder / "none.cfg")["findings"]
    assert sorted(one["code"] for one in both) == ["no-filter", "unreadable-file"]


def test_the_files_of_a_folder(world, folder):
    """Those that end so and are not hidden; a long one is read to its end."""
    inner = folder / "conf.d"
    inner.mkdir()
    for name in ("b.cfg", "a.cfg", ".hidden.cfg", ".cfg", "x.conf", "cfg"):
        (inner / name).write_text("# " + "x" * 9000 + f"\nfrontend f\n    filter spoe engine e config /none/{name}\n")
    found = [one["file"] for one in world.check("--haproxy", inner)["findings"] if one["code"] == "unreadable-file"]
    assert found == ["/none/a.cfg", "/none/b.cfg"]


@pytest.mark.parametrize("versions, is_found", [(("3.2.1", "3.0.1"), True), (("3.0.1", "3.2.1"), True), (("3.2.1", None), False), ((None, "3.2.1"), False),
                                                ((None, None), True), ((None, "3.0.1"), True)])
def test_two_haproxys_one_of_which_hangs(world, api, folder, versions, is_found):
    with Api(f"{api.path}2") as other:
        api.version, other.version = versions
        world.edit(more=f"[haproxy]\nruntime-api = {api.path}\nruntime-api = {other.path}\nbackend = b")
        file = haproxy_files(folder, "backend b\n    server R1 127.0.0.1:7001 check weight 0 on-marked-down shutdown-sessions\n")
        codes = [one["code"] for one in world.check("--haproxy", file)["findings"]]
    assert ("hanging-clients" in codes) == is_found, codes


# ---- what only the agent knows ----

def test_what_the_agent_says_of_gone_clients(world):
    with FakeAgent() as agent:
        for reply, is_found in (((200, "x\ngone-clients-unseen: y\n"), True), ((200, "all is well\n"), False), ((403, "gone-clients-unseen"), False),
                                ((200, ""), False), (b"", False), (b"nonsense gone-clients-unseen", False)):
            agent.says["/status.txt"] = reply
            world.edit(agent=f"http = {agent.where}")
            found = world.find()
            assert [(one[0], one[1], one[2], one[4]) for one in found] == ([("gone-clients-unseen", [], "", None)] if is_found else []), reply
            assert not found or found[0][3].startswith("the agent has this alarm: ")
        assert agent.asked[0] == "GET /status.txt HTTP/1.0\r\n\r\n"
