// What the programs for Node.js share. tests/lib/clients.py says what the words and the lines mean.
'use strict';

const fs = require('fs');
const { setTimeout: sleep } = require('timers/promises');

const WRITERS = 4; // they share one client, as the requests of a service do
const PAUSE_MS = 50;

const [role, mode, service, prefix, ...words] = process.argv.slice(2);
const addresses = words.map((word) => {
  const [host, port] = word.split(':');
  return { host, port: Number(port) };
});

// The clock that all programs share (CLOCK_MONOTONIC), in seconds.
const now = () => Number(process.hrtime.bigint()) / 1e9;

// One write for each line: a program that is killed leaves whole lines.
const print = (line) => fs.writeSync(1, `${JSON.stringify(line)}\n`);

const complain = (error) => fs.writeSync(2, `${error}\n`);

async function writer(index, operation) {
  for (let i = 0; ; i++) {
    const n = `${index}:${i}`;
    const started = now();
    let error = '';
    try {
      await operation(n);
    } catch (thrown) {
      error = String(thrown) || 'failed';
    }
    print({ n, started, ended: now(), ok: error === '', error });
    await sleep(PAUSE_MS);
  }
}

function startWriters(operation) {
  for (let index = 0; index < WRITERS; index++) {
    writer(index, operation);
  }
}

module.exports = { role, mode, service, prefix, addresses, print, complain, startWriters };
