/**
 * Events on Redis Streams: published in Layotto's API and in Dapr's, delivered to an app that asks for some of them
 * again and can do nothing with others, and kept while the app is away. It starts Redis, the app and the runtime
 * itself: `make example NAME=pubsub-redis`.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createServer } from 'node:http';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

import { Redis } from 'ioredis';
import layotto from 'layotto';

import { redisOrValkeyServer } from '../../tools/get.mjs';

const { PORT: port, EXAMPLE_DIR: folder, EXAMPLE_PORT: redisPort } = process.env;
if (folder === undefined) {
  console.error('run it by: make example NAME=pubsub-redis');
  process.exit(1);
}
const here = fileURLToPath(new URL('.', import.meta.url));
const step = (what, text) => console.log(`${`${what}:`.padEnd(18)}${text}`);

/** Numbers of the orders that came, by route, each time one does. */
const arrived = { '/orders': [], '/hopeless': [] };
const SUBSCRIPTIONS = [
  {
    pubsubname: 'events',
    topic: 'orders',
    route: '/orders',
    deadLetterTopic: 'hopeless',
    metadata: { maxDeliveries: '3' },
  },
  { pubsubname: 'events', topic: 'hopeless', route: '/hopeless' },
];
/** Order 3 is wanted twice, and nobody can do anything with order 7. */
function verdictOn(number, times) {
  if (number === 7) return 'DROP';
  return number === 3 && times === 1 ? 'RETRY' : 'SUCCESS';
}

function startApp(at) {
  const app = createServer(async (request, response) => {
    const text = Buffer.concat(await request.toArray()).toString();
    const answer = (body) => response.setHeader('content-type', 'application/json').end(JSON.stringify(body));
    if (request.url === '/dapr/subscribe') return answer(SUBSCRIPTIONS);
    const came = arrived[request.url];
    if (came === undefined) return response.writeHead(404).end();
    const { number } = JSON.parse(text).data;
    came.push(number);
    const times = came.filter((one) => one === number).length;
    return answer({ status: request.url === '/hopeless' ? 'SUCCESS' : verdictOn(number, times) });
  });
  return new Promise((resolve) => app.listen(at, '127.0.0.1', () => resolve(app)));
}

function stopApp(app) {
  app.closeAllConnections();
  return new Promise((resolve) => app.close(resolve));
}

/** Publishes an order by Dapr's HTTP API. */
function publish(number) {
  return fetch(`http://127.0.0.1:${port}/v1.0/publish/events/orders`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ number }),
  });
}

/** Waits until something holds. */
async function until(what, holds) {
  for (let tries = 0; tries < 600; tries++) {
    if (await Promise.resolve(holds()).catch(() => false)) return;
    await sleep(50);
  }
  throw new Error(`${what}: not within 30 s`);
}

const timesOf = (number) => arrived['/orders'].filter((one) => one === number).length;
const all = (first, last) => async () => {
  for (let number = first; number <= last; number++) if (timesOf(number) === 0) return false;
  return true;
};

let app = await startApp(0);
const { port: appPort } = app.address();
const { path } = await redisOrValkeyServer();
const redisArgs = ['--port', redisPort, '--bind', '127.0.0.1', '--appendonly', 'yes', '--dir', folder];
const redis = spawn(path, redisArgs, { stdio: 'ignore' });
let log = '';
const runtime = spawn(
  process.execPath,
  [
    ...[join(here, '../../cli/bin/layotto.js'), 'run', '-c', join(here, 'layotto.yaml')],
    ...['--port', port, '--metrics-port', '0', '--data-dir', join(folder, 'data')],
    ...['--app-port', String(appPort)],
  ],
  { stdio: ['ignore', 'pipe', 'pipe'] },
);
for (const stream of [runtime.stdout, runtime.stderr]) stream.on('data', (data) => (log += data));

try {
  await until('the runtime publishes', async () => (await publish(0)).status === 204);
  await until('the app is found', all(0, 0));
  let last;
  for (let number = 1; number <= 9; number++) last = await publish(number);
  const client = new layotto.Client(port, '127.0.0.1');
  await client.pubsub.publish({ pubsubName: 'events', topic: 'orders', data: { number: 10 } });
  await until('all orders came', all(1, 10));
  step('published', '9 orders by Dapr, one by Layotto; all of them came');
  const [id, persisted] = ['id', 'persisted'].map((what) => last.headers.get(`layotto-message-${what}`));
  assert.match(id, /^\d+-\d+$/);
  assert.equal(persisted, 'true');
  step('the ninth', `is ${id} in the stream, persisted: ${persisted}`);

  await until('the third came again', async () => timesOf(3) === 2);
  step('RETRY', 'order 3 came twice, as the app asked');
  await until('the seventh is a dead letter', async () => arrived['/hopeless'].includes(7));
  step('DROP', 'order 7 went to the topic of dead letters');

  const reader = new Redis(Number(redisPort), '127.0.0.1');
  const [[, [field, value]]] = await reader.xrange('orders', id, id);
  reader.disconnect();
  const event = JSON.parse(value);
  assert.equal(field, 'data');
  assert.deepEqual(event.data, { number: 9 });
  step(
    'on Redis',
    `XRANGE orders shows a CloudEvent ${event.specversion} of ${event.source}, as Dapr writes it`,
  );

  await stopApp(app);
  for (let number = 11; number <= 20; number++) assert.equal((await publish(number)).status, 204);
  app = await startApp(appPort);
  await until('all orders came', all(11, 20));
  step('the app was away', '10 orders waited for it, and all of them came');
} catch (error) {
  console.error(log);
  throw error;
} finally {
  runtime.kill('SIGTERM');
  await once(runtime, 'exit');
  redis.kill('SIGTERM');
  await stopApp(app);
}
