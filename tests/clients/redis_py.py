"""redis-py with its defaults, or with a reply time limit (REPLY_TIMEOUT, in seconds) and three retries."""

import json
import os
import sys
import time

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from redis.sentinel import Sentinel

PAUSE = 0.05


def show(line):
    print(json.dumps(line), flush=True)


def connect(mode, service, addresses):
    pairs = [(host, int(port)) for host, port in (address.split(":") for address in addresses)]
    limits = {}
    if timeout := os.environ.get("REPLY_TIMEOUT"):
        limits = {"socket_timeout": float(timeout), "retry": Retry(NoBackoff(), 3), "retry_on_timeout": True}
    if mode == "proxy":
        return redis.Redis(*pairs[0], **limits)
    return Sentinel(pairs).master_for(service, **limits)


def write(operation):
    i = 0
    while True:
        started, error = time.monotonic(), ""
        try:
            operation(str(i))
        except redis.RedisError as thrown:
            error = f"{type(thrown).__name__}: {thrown}"
        show({"n": str(i), "started": started, "ended": time.monotonic(), "ok": not error, "error": error})
        i += 1
        time.sleep(PAUSE)


def subscribe(client, channel):
    """A new subscription after each error: one whose connection has ended is of no use."""
    while True:
        try:
            # Closed at once: redis-py 4.3 may lock itself out where the garbage collector does it.
            with client.pubsub() as subscription:
                subscription.subscribe(channel)
                for message in subscription.listen():
                    show({"ready": True} if message["type"] == "subscribe" else {"done": message["data"].decode()})
        except redis.RedisError as error:
            print(f"{type(error).__name__}: {error}", file=sys.stderr)
            time.sleep(PAUSE)


def main(role, mode, service, prefix, *addresses):
    client = connect(mode, service, addresses)
    if role == "subscribe":
        subscribe(client, prefix)
    elif role == "publish":
        write(lambda n: client.publish(prefix, n))
    else:
        write(lambda n: client.incr(f"{prefix}:{n}"))


if __name__ == "__main__":
    main(*sys.argv[1:])
