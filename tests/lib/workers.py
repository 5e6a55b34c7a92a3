"""HAProxy's processes, and its reload.

    workers = Workers(cluster)                  # before HAProxy starts: its master gets a socket for commands
    cluster.start_agent(workers.agent_edits())  # the agent reaches all its workers there
    cluster.start_haproxy()
    workers.reload()                            # the old worker stays while it has sessions
    workers.list()
"""

import signal

from process import wait_until
from sessions import tell


class Workers:
    def __init__(self, cluster):
        self.haproxy = cluster.haproxy
        self.socket = f"{cluster.directory}/master.sock"
        command = self.haproxy.command
        self.haproxy.command = lambda: [*command(), "-S", self.socket]

    def agent_edits(self):
        return {"runtime-api = /run/haproxy/admin.sock": f"runtime-api = master:{self.socket}"}

    def tell(self, command):
        """The master of HAProxy 3.2 does not answer where the worker ends in this moment: TimeoutError soon."""
        return tell(self.socket, f"{command};quit", timeout=1)

    def list(self):
        """(process, whether it is old) of each worker."""
        is_old, found = False, []
        for line in self.tell("show proc").splitlines():
            is_old = is_old or line == "# old workers"
            words = line.split()
            if words[1:2] == ["worker"]:
                found.append((int(words[0]), is_old))
        return found

    def old(self):
        """The processes that a reload has replaced and that still live."""
        return [pid for pid, is_old in self.list() if is_old]

    def is_settled(self):
        """All old workers know that they are old."""
        return all("\nStopping: 1\n" in self.tell(f"@!{pid} show info") for pid in self.old())

    def send_reload(self):
        """Returns at once."""
        self.haproxy.signal(signal.SIGUSR2)

    def reload(self):
        """Returns when a new worker has taken over."""
        replaced = {pid for pid, is_old in self.list() if not is_old}
        self.send_reload()
        wait_until(lambda: self.has_replaced(replaced), 15, "a new worker")
        wait_until(self.is_settled, 15, "the old workers accept no more connections")

    def has_replaced(self, processes):
        """None of these is in use, and another one is."""
        present = {pid for pid, is_old in self.list() if not is_old}
        return present and not present & processes
