"""An agent among Sentinels that answer as fast as they are asked, for any number of services (sentinels.c)."""

import resource
import shutil
import tempfile
import time
from pathlib import Path

from bench import CLIENT_CPU, SERVER_CPU, Program, pin

from cluster import Agent
from process import wait_until
import spop_client as spop


def server_lines(number, port):
    """The servers of service number N, as sentinels.c has them."""
    return "".join(f"server = {name} 127.{net}.{number // 256}.{number % 256}:{port}\n" for name, net in (("A", 16), ("B", 17)))


class Field:
    """By `with`: an agent that knows all services, on a CPU of its own, by TCP and by a UNIX socket."""

    def __init__(self, sentinels=3, services=1, agent="", service="", waiting=0, steady=0, announced=0, voters=""):
        """agent, service, voters: lines for these sections, `voters` for [sentinels]; NAME is the service's. waiting: services w0 ... that have
        no master until a failover. steady: services k0 ... that keep theirs. announced: of so many services the Sentinels' subscribers hear at a
        failover."""
        self.sentinels, self.services, self.waiting, self.steady = sentinels, services, waiting, steady
        self.announced = announced
        self.agent_lines, self.service_lines, self.voter_lines = agent, service, voters
        self.directory = Path(tempfile.mkdtemp(prefix="sentinel-spoa-"))
        self.agent = Agent(self.directory)

    def __enter__(self):
        # Descriptors for what asks and what answers; the agent raises its own limit.
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
        self.said = Program("sentinels", self.sentinels, self.announced, cpu=CLIENT_CPU, lines=self.sentinels + 1)
        self.write_config()
        self.began = time.monotonic()
        self.agent.start(timeout=120)
        pin(self.agent.pid, SERVER_CPU)
        wait_until(self.is_ready, 120, "all services have been decided on")
        self.ready_s = time.monotonic() - self.began
        return self

    def __exit__(self, *exc):
        self.agent.stop()
        self.said.__exit__()
        shutil.rmtree(self.directory, ignore_errors=True)

    def write_config(self):
        *ports, node_port = self.said.lines
        addresses = "".join(f"address = 127.0.0.1:{port}\n" for port in ports)
        names = [f"s{i:05d}" for i in range(self.services)] + [f"w{i}" for i in range(self.waiting)] + [f"k{i}" for i in range(self.steady)]
        services = "".join(f"[service {name}]\n{server_lines(int(name[1:]), node_port)}{self.service_lines.replace('NAME', name)}" for name in names)
        self.agent.config_path.write_text(f"[agent]\nlisten = 127.0.0.1:0\nlisten = unix:{self.directory}/spop.sock\n"
                                          f"{self.agent_lines}\n[sentinels]\n{addresses}{self.voter_lines}\n{services}")

    def is_ready(self):
        """It passes HAProxy's health check, and names somebody."""
        with spop.SpopClient(self.agent.address) as client:
            client.send(spop.health_check())
            if client.read().type != spop.AGENT_HELLO:
                return False
        return spop.ask_once(self.agent.address, "s00000")["state"] == "ok"

    def actions(self):
        """The answer, as it goes over the wire."""
        with spop.SpopClient(self.agent.address) as client:
            client.hello()
            client.send(spop.question("s00000"))
            return client.read().payload

    def fail_over(self):
        """All Sentinels name the other server of each service from now on."""
        self.said.say("")

    @property
    def tcp(self):
        return Asked(self.agent.pid, self.agent.address)

    @property
    def unix(self):
        return Asked(self.agent.pid, f"unix:{self.directory}/spop.sock")


class Asked:
    """Whom load() asks."""

    def __init__(self, pid, address):
        self.pid, self.address = pid, address
