"""Valid configurations of the agent, at random: every kind of address, odd names, names that meet each other."""

import itertools

ODD = ["a", "a_read", "be_a", "sentinel_spoa", "a/b", "a)b", "a(b", "a,b", 'a"b', "a'b", "a\\b", "a#b", "$HOME", "a$(b)",
       "50%", "%n", "a;b", "{}", "*", "-x", "@a", "a\\nb", "GLOBAL", "a.b:c", "n" * 200, "\\" * 200]
BACKENDS = ["be_a", "be_sentinel_spoa", "be_sentinel_spoa-2", "fe_a", "be_a_read", "a", "redis", "b.c:d", "b" * 100]
PATHS = ["/run/a.sock", "/run/a,b.sock", "/run/$a.sock", "/run/a#b.sock", "/run/a\"b'c.sock", "/run/a\\b.sock",
         "/run/" + 92 * "p", "/run/" + 93 * "p", "/run/" + 102 * "p", "a.sock", "/run/[a]:1", "/run/a@b%c=d"]
HOSTS = ["10.0.0.1", "127.0.0.1", "0.0.0.0", "[::]", "[::1]", "[2001:db8::1]", "[::ffff:10.0.0.9]"]
NAMES = ["redis-1", "redis-2.example.org", "r_3.example.org.", "localhost"]


class Writer:
    """One configuration; `rng` is a random.Random."""

    def __init__(self, rng):
        self.rng = rng
        self.ports = itertools.count(rng.choice([6370, 9000, 65000]))
        self.paths = rng.sample(PATHS, len(PATHS))

    def maybe(self, *lines):
        return [line for line in lines if self.rng.random() < 0.3]

    def place(self, names=False, port_zero=True):
        """An address that no other has."""
        kind = self.rng.random()
        if kind < 0.3 and self.paths:
            return f"unix:{self.paths.pop()}"
        if kind < 0.4 and port_zero:
            return f"{self.rng.choice(HOSTS)}:0"
        return f"{self.rng.choice(HOSTS + NAMES if names else HOSTS)}:{next(self.ports)}"

    def places(self, key, most, **options):
        return [f"{key} = {self.place(**options)}" for _ in range(self.rng.randrange(most + 1))]

    def agent(self):
        return ["[agent]", *self.places("listen", 3), *self.places("check", 2), *self.places("http", 1)]

    def haproxy(self):
        apis = [line.replace("= ", f"= {self.rng.choice(['', '', 'master:'])}") for line in self.places("runtime-api", 3, port_zero=False)]
        return ["[haproxy]", *apis, *self.maybe("runtime-api = /run/a b.sock"), f"backend = {self.rng.choice(BACKENDS)}"]

    def service(self, name):
        lines = [f"[service {name}]", *self.maybe(f"backend = {self.rng.choice(BACKENDS)} {self.rng.choice(BACKENDS)}", "park = 8s")]
        servers = [f"server = {server} {self.place(names=True, port_zero=False)}" for server in self.rng.sample(["R1", "R2", "r.3:x", "-4"], 3)]
        servers = servers[:self.rng.randrange(4)]
        if not servers:
            return [*lines, "allow-any-address = yes"]
        return [*lines, *servers, *self.maybe("replicas = yes", "allow-any-address = yes", "role-check = off")]

    def text(self):
        names = self.rng.sample(ODD, self.rng.randrange(1, 6))
        sections = [self.agent(), self.haproxy(), ["[sentinels]", "address = 10.0.0.1:26379"], *map(self.service, names)]
        return "\n".join(itertools.chain(*sections)) + "\n"
