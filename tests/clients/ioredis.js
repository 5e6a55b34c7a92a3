// ioredis with its defaults.
'use strict';

const Redis = require('ioredis');
const { role, mode, service, prefix, addresses, print, complain, startWriters } = require('./common.js');

const client = mode === 'proxy' ? new Redis(addresses[0]) : new Redis({ sentinels: addresses, name: service });
client.on('error', complain);

if (role === 'subscribe') {
  client.on('message', (channel, message) => print({ done: message }));
  client.subscribe(prefix).then(() => print({ ready: true }));
} else if (role === 'publish') {
  startWriters((n) => client.publish(prefix, n));
} else {
  startWriters((n) => client.incr(`${prefix}:${n}`));
}
