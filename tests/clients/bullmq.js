// BullMQ with its defaults: a queue that jobs are added to, and a worker. A job is its number; to do it is to print it.
'use strict';

const { Queue, Worker } = require('bullmq');
const { mode, service, prefix, addresses, print, complain, startWriters } = require('./common.js');

const connection = mode === 'proxy' ? addresses[0] : { sentinels: addresses, name: service };
const name = prefix.replaceAll(':', '-'); // a queue's name has no colon

const worker = new Worker(name, async (job) => print({ done: job.data.n }), { connection });
worker.on('error', complain);
const queue = new Queue(name, { connection });
queue.on('error', complain);
startWriters((n) => queue.add('job', { n }));
