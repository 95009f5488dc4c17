/**
 * Ids for orders from two runtimes on one Redis, most of them answered in Envoy. Run it by
 * `make example NAME=sequencer`.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

import layotto from 'layotto';

import { freePorts } from '../../tools/free-port.mjs';
import { redisOrValkeyServer } from '../../tools/get.mjs';

const { runtime_GRPC_PORT: port, EXAMPLE_DIR: dir, EXAMPLE_PORT: redisPort } = process.env;
if (dir === undefined) {
  console.error('run it by: make example NAME=sequencer');
  process.exit(1);
}

const CALLS = 3_000;
const [WEAK, STRONG] = [0, 1];
const root = fileURLToPath(new URL('../../', import.meta.url));

/** A second runtime, beside the one that runs this. */
async function another() {
  const [own, metrics] = (await freePorts(2)).map(String);
  const config = join(root, 'examples/sequencer/layotto.yaml');
  const options = ['--port', own, '--metrics-port', metrics, '--data-dir', join(dir, 'second'), '-c', config];
  const child = spawn(process.execPath, [join(root, 'cli/bin/layotto.js'), 'run', ...options], {
    stdio: 'ignore',
  });
  return { port: own, metrics, child };
}

const next = (client, increment) =>
  client.sequencer.getNextId({ storeName: 'sequencer', key: 'orders', options: { increment } });

async function untilReady(client) {
  for (let tries = 0; ; tries++) {
    try {
      return await next(client, STRONG);
    } catch (error) {
      if (tries === 300) throw error;
      await sleep(100);
    }
  }
}

/** A metric of a runtime, of whatever labels, in sum. */
async function metric(metricsPort, pattern) {
  const page = await (await fetch(`http://127.0.0.1:${metricsPort}/metrics`)).text();
  const lines = page.split('\n').filter((line) => !line.startsWith('#') && pattern.test(line));
  return lines.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0);
}

const { path } = await redisOrValkeyServer();
const server = spawn(path, ['--port', redisPort, '--bind', '127.0.0.1', '--save', '', '--dir', dir], {
  stdio: 'ignore',
});
const second = await another();
const runtimes = [{ port, metrics: String(Number(port) - 1) }, second];
const clients = runtimes.map((runtime) => new layotto.Client(runtime.port, '127.0.0.1'));
try {
  for (const client of clients) await untilReady(client);
  const strong = [];
  for (let count = 0; count < 4; count++) strong.push(BigInt(await next(clients[count % 2], STRONG)));
  assert.ok(strong.every((id, index) => id > 1000n && (index === 0 || id > strong[index - 1])));
  console.log(`STRONG, in turn:      ${strong.join(', ')}`);

  const ids = [];
  await Promise.all(
    clients.map(async (client) => {
      for (let count = 0; count < CALLS; count++) ids.push(await next(client, WEAK));
    }),
  );
  const duplicates = ids.length - new Set(ids).size;
  assert.equal(duplicates, 0);
  console.log(`WEAK, side by side:   ${ids.length} ids from two runtimes, ${duplicates} of them twice`);

  // The filter tells its counts twice a second.
  await sleep(1_500);
  let inEnvoy = 0;
  let runs = 0;
  for (const { metrics } of runtimes) {
    inEnvoy += await metric(metrics, /layotto_sequencer_weak_ids_total.*envoy/);
    runs += await metric(metrics, /layotto_sequencer_segments_total/);
  }
  assert.ok(inEnvoy > 0.9 * ids.length, `${inEnvoy} in Envoy`);
  console.log(`answered in Envoy:    ${inEnvoy}, out of ${runs} runs of 200`);
} finally {
  for (const client of clients) client.close();
  second.child.kill('SIGTERM');
  await once(second.child, 'exit');
  server.kill('SIGTERM');
}
