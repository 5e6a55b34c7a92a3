"""The turns of the agent's loop, by its own histogram."""

import urllib.request

STALL = "redis_spoa_loop_stall_seconds_"


def stalls(field):
    """The histogram's samples by their names without STALL."""
    with urllib.request.urlopen(f"http://{field.agent.http_address}/metrics", timeout=60) as reply:
        lines = [line.split() for line in reply.read().decode().splitlines() if line.startswith(STALL)]
    return {name[len(STALL):]: float(value) for name, value in lines}


def over(before, after, bound):
    """How many turns took longer than `bound` seconds between the two."""
    key = f'bucket{{le="{bound}"}}'
    return int(after["count"] - before["count"] - after[key] + before[key])


def longest_bound(before, after):
    bounds = [key[len('bucket{le="'):-2] for key in after if key.startswith("bucket") and "Inf" not in key]
    return next((f"≤ {float(bound) * 1000:g} ms" for bound in bounds if over(before, after, bound) == 0), "over 2.5 s")
