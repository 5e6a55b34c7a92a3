"""HAProxy's sessions, by its runtime API.

    with Cluster(recipe=...) as cluster:
        cluster.start_haproxy(edits=admin_edits(cluster))
        sessions(cluster.api, "fe_redis")           # a line of `show sess` each
"""

from resp import connect_unix


def admin_edits(cluster):
    """An edit of haproxy.cfg that gives a recipe without a runtime API one."""
    if "stats socket" in cluster.shipped("haproxy.cfg"):
        return {}
    return {"    maxconn 4000\n": f"    maxconn 4000\n    stats socket {cluster.api} level admin\n"}


def tell(api, command, timeout=10):
    """One line of commands; what HAProxy answers."""
    with connect_unix(api, timeout) as sock:
        sock.sendall(command.encode() + b"\n")
        return b"".join(iter(lambda: sock.recv(65536), b"")).decode()


def sessions(api, frontend):
    """What HAProxy still has of the clients of this frontend."""
    return [line for line in tell(api, "show sess").splitlines() if f" fe={frontend} " in line]
