/**
 * Events on Kafka: published, delivered, delivered again, and none lost while Kafka is killed. It starts Kafka, the app
 * and the runtime itself: `make example NAME=pubsub-kafka`. Needs Java and Maven.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

import { freePort } from '../../tools/free-port.mjs';
import { Kafka } from './kafka.mjs';

const { PORT: port, EXAMPLE_DIR: folder, EXAMPLE_PORT: kafkaPort } = process.env;
if (folder === undefined) {
  console.error('run it by: make example NAME=pubsub-kafka');
  process.exit(1);
}
const here = fileURLToPath(new URL('.', import.meta.url));
const step = (what, text) => console.log(`${`${what}:`.padEnd(20)}${text}`);

/** Numbers of the orders that came, each time one does; the app wants the third one twice. */
const arrived = [];
const app = createServer((request, response) => {
  let text = '';
  request.on('data', (data) => (text += data));
  request.on('end', () => {
    if (request.url === '/dapr/subscribe') {
      response.end(JSON.stringify([{ pubsubname: 'events', topic: 'orders', route: '/orders' }]));
    } else if (request.url === '/orders') {
      const { number } = JSON.parse(text).data;
      arrived.push(number);
      const again = number === 3 && arrived.filter((one) => one === 3).length === 1;
      response.setHeader('content-type', 'application/json');
      response.end(JSON.stringify({ status: again ? 'RETRY' : 'SUCCESS' }));
    } else {
      response.writeHead(404).end();
    }
  });
});
await listening(app, 0);

const controllerPort = await freePort();
const kafka = await Kafka.start(folder, Number(kafkaPort), controllerPort).catch((error) => {
  console.error(error.message);
  process.exit(1);
});
let log = '';
const runtime = spawn(
  process.execPath,
  [
    ...[join(here, '../../cli/bin/layotto.js'), 'run', '-c', join(here, 'layotto.yaml')],
    ...['--port', port, '--metrics-port', String(Number(port) - 1)],
    ...['--data-dir', join(folder, 'data'), '--app-port', String(app.address().port)],
  ],
  { env: { ...process.env, KAFKA_BROKERS: `127.0.0.1:${kafkaPort}` }, stdio: ['ignore', 'pipe', 'pipe'] },
);
for (const stream of [runtime.stdout, runtime.stderr]) stream.on('data', (data) => (log += data));

/** Publishes an order. @returns the response */
function publish(number) {
  return fetch(
    `http://127.0.0.1:${port}/v1.0/publish/events/orders?metadata.partitionKey=customer-${number % 2}`,
    {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ number }),
    },
  );
}

/** Waits until something holds. */
async function until(what, holds) {
  for (let tries = 0; tries < 1_200; tries++) {
    if (await Promise.resolve(holds()).catch(() => false)) return;
    await sleep(50);
  }
  throw new Error(`${what}: not within 60 s`);
}

const all = (first, last) => () => {
  for (let number = first; number <= last; number++) if (!arrived.includes(number)) return false;
  return true;
};

try {
  await until('the runtime publishes', async () => (await publish(0)).status === 204);
  const statuses = [];
  let last;
  for (let number = 1; number <= 10; number++) {
    last = await publish(number);
    statuses.push(last.status);
  }
  assert.deepEqual(new Set(statuses), new Set([204]));
  await until('all orders came', all(1, 10));
  step('published', '10 orders, and all of them came');
  const [id, persisted] = ['id', 'persisted'].map((what) => last.headers.get(`layotto-message-${what}`));
  assert.match(id, /^[0-2]:\d+$/);
  step('the last one', `partition and offset ${id}, persisted: ${persisted}`);
  await until('the third came again', () => arrived.filter((one) => one === 3).length === 2);
  step('RETRY', 'order 3 came twice, as the app asked');
  await kafka.kill();
  await until('it is noticed', async () => (await publish(11)).status !== 204);
  const began = performance.now();
  const refused = await publish(11);
  const tookMs = performance.now() - began;
  assert.ok(tookMs < 500, `it took ${tookMs} ms`);
  const { errorCode } = await refused.json();
  step('Kafka is killed', `${refused.status} ${errorCode}, at once`);

  await kafka.start();
  await until('it publishes again', async () => (await publish(11)).status === 204);
  for (let number = 12; number <= 20; number++) assert.equal((await publish(number)).status, 204);
  await until('all orders came', all(11, 20));
  step('Kafka is back', '10 more orders, and all of them came');
} catch (error) {
  console.error(log);
  throw error;
} finally {
  const ended = new Promise((resolve) => runtime.once('exit', resolve));
  runtime.kill('SIGTERM');
  await ended;
  await kafka.kill();
  app.close();
}
process.exit();

function listening(server, onPort) {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(onPort, '127.0.0.1', resolve);
  });
}
