<?php
// phpredis with its defaults. Behind HAProxy one object is used for good: it connects again by itself. phpredis' support
// of Sentinel is a class that asks one for the address, so there a new object is made after each error.

const PAUSE_US = 50000;

function now(): float
{
    return hrtime(true) / 1e9;
}

function show(array $line): void
{
    fwrite(STDOUT, json_encode($line) . "\n");
}

function sentinel(string $host, int $port): RedisSentinel
{
    return version_compare(phpversion('redis'), '6.0', '<')
        ? new RedisSentinel($host, $port)
        : new RedisSentinel(['host' => $host, 'port' => $port]);
}

// The master's host and port, by the first Sentinel that answers.
function master(string $service, array $sentinels): array
{
    foreach ($sentinels as $address) {
        [$host, $port] = explode(':', $address);
        try {
            if ($named = sentinel($host, (int)$port)->getMasterAddrByName($service)) {
                return $named;
            }
        } catch (RedisException $error) {
            fwrite(STDERR, "$address: {$error->getMessage()}\n");
        }
    }
    throw new RedisException('no Sentinel names a master');
}

function connect(string $mode, string $service, array $addresses): Redis
{
    [$host, $port] = $mode === 'proxy' ? explode(':', $addresses[0]) : master($service, $addresses);
    $redis = new Redis();
    $redis->connect($host, (int)$port);
    return $redis;
}

// An error of Redis is no exception but the value false.
function checked(Redis $redis, $reply)
{
    if ($reply === false) {
        $message = $redis->getLastError() ?? 'false';
        $redis->clearLastError();
        throw new RedisException($message);
    }
    return $reply;
}

[, $role, $mode, $service, $prefix] = $argv;
$addresses = array_slice($argv, 5);
$redis = null;
for ($i = 0; ; $i++) {
    $started = now();
    $error = '';
    try {
        $redis ??= connect($mode, $service, $addresses);
        if ($role === 'subscribe') {
            show(['ready' => true]);
            $redis->subscribe([$prefix], fn ($redis, $channel, $message) => show(['done' => $message]));
        } else {
            checked($redis, $role === 'publish' ? $redis->publish($prefix, "$i") : $redis->incr("$prefix:$i"));
        }
    } catch (RedisException $thrown) {
        $error = $thrown->getMessage() ?: 'failed';
        $redis = $mode === 'proxy' ? $redis : null;
    }
    if ($role === 'subscribe') {
        fwrite(STDERR, "$error\n");
    } else {
        show(['n' => "$i", 'started' => $started, 'ended' => now(), 'ok' => $error === '', 'error' => $error]);
    }
    usleep(PAUSE_US);
}
