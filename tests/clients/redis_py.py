"""redis-py with its defaults."""

import json
import sys
import time

import redis
from redis.sentinel import Sentinel

PAUSE = 0.05


def show(line):
    print(json.dumps(line), flush=True)


def connect(mode, service, addresses):
    pairs = [(host, int(port)) for host, port in (address.split(":") for address in addresses)]
    if mode == "proxy":
        return redis.Redis(*pairs[0])
    return Sentinel(pairs).master_for(service)


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
    """After an error the object connects and subscribes again by itself when it is asked for more."""
    subscription = client.pubsub()
    subscription.subscribe(channel)
    while True:
        try:
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
