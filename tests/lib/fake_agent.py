"""An agent's HTTP, played: it notes what it is asked, and says what a test wants it to.

    with FakeAgent() as agent:
        agent.says["/status"] = (200, "{}")     # bytes: all of the reply, as it is
        agent.where                             # for `http` in [agent]
        agent.asked                             # the requests, each with all its lines
"""

import contextlib
import socket
import time

from observers import Background


class FakeAgent(Background):
    def __init__(self):
        super().__init__()
        self.says = {}
        self.asked = []
        self.delay = 0.0  # seconds before each answer
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.settimeout(0.01)
        self.where = f"127.0.0.1:{self.listener.getsockname()[1]}"

    def __exit__(self, *exc):
        super().__exit__(*exc)
        self.listener.close()

    def step(self):
        try:
            sock, _ = self.listener.accept()
        except OSError:  # nobody came
            return
        with sock:
            sock.settimeout(5)
            request = b""
            while not request.endswith(b"\r\n\r\n"):
                got = sock.recv(4096)
                if not got:
                    return
                request += got
            self.asked.append(request.decode())
            time.sleep(self.delay)
            reply = self.says.get(self.asked[-1].split()[1], (404, "no such page\n"))
            reply = reply(self) if callable(reply) else reply
            with contextlib.suppress(OSError):  # who asked may have enough of it
                sock.sendall(reply if isinstance(reply, bytes) else f"HTTP/1.0 {reply[0]} X\r\nA: b\r\n\r\n{reply[1]}".encode())
