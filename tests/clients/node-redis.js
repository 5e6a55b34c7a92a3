// node-redis with its defaults, and a listener for errors: without one the first error ends the program.
'use strict';

const { createClient, createSentinel } = require('redis');
const { role, mode, service, prefix, addresses, print, complain, startWriters } = require('./common.js');

const client = mode === 'proxy'
  ? createClient({ socket: addresses[0] })
  : createSentinel({ name: service, sentinelRootNodes: addresses });
client.on('error', complain);

async function main() {
  await client.connect();
  if (role === 'subscribe') {
    await client.subscribe(prefix, (message) => print({ done: message }));
    print({ ready: true });
  } else if (role === 'publish') {
    startWriters((n) => client.publish(prefix, n));
  } else {
    startWriters((n) => client.incr(`${prefix}:${n}`));
  }
}

main();
