/**
 * One app calls another through both of their Envoys; then one of the callee's two instances dies under load. Run it by
 * `make example NAME=invoke`.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

import layotto from 'layotto';

import { freePorts } from '../../tools/free-port.mjs';

const { PORT: port, EXAMPLE_DIR: dir } = process.env;
if (dir === undefined) {
  console.error('run it by: make example NAME=invoke');
  process.exit(1);
}

const here = fileURLToPath(new URL('./', import.meta.url));
const command = fileURLToPath(new URL('../../cli/bin/layotto.js', import.meta.url));
const metrics = Number(port) - 1;
/** Callers of each kind, and for how many milliseconds they go on after the instance has died. */
const CALLERS = 8;
const POST = 3;
const AFTER_MS = 3_000;

const children = [];

/** `layotto run` with a configuration of its own, and an app beside it. */
function runtime(name, config, { args = [], app = [], env = {} }) {
  const folder = join(dir, name);
  mkdirSync(folder);
  const file = join(folder, 'layotto.yaml');
  // JSON is YAML, too.
  writeFileSync(file, JSON.stringify(config, undefined, 2));
  const options = ['run', '-c', file, '--data-dir', folder, ...args];
  const child = spawn(process.execPath, [command, ...options, ...(app.length > 0 ? ['--', ...app] : [])], {
    stdio: 'ignore',
    env: { ...process.env, ...env },
  });
  children.push(child);
  return child;
}

/** An instance of the callee: its app, and its Envoy, which others reach at `inbound`. */
async function instance(number) {
  const [own, appPort, inbound] = await freePorts(3);
  const config = { app: { id: 'orders' }, listen: { port: own, inbound }, components: [] };
  runtime(`orders-${number}`, config, {
    args: ['--metrics-port', '0', '--app-port', String(appPort)],
    app: [process.execPath, join(here, 'orders.mjs')],
    env: { INSTANCE: String(number) },
  });
  return inbound;
}

/** Calls to the callee that failed, as the caller's Envoy counts them. */
const FAILED = /^envoy_cluster_upstream_rq\{(?=.*callee="orders").*envoy_response_code="5/;
const url = `http://127.0.0.1:${port}/v1.0/invoke/orders/method`;

async function untilAnswered(what, ask) {
  for (let tries = 0; ; tries++) {
    if (await ask().catch(() => false)) return;
    if (tries === 600) throw new Error(`${what}: not in time`);
    await sleep(100);
  }
}

/** What a metric says, in sum of the lines that match. */
async function metric(pattern) {
  const page = await (await fetch(`http://127.0.0.1:${metrics}/metrics`)).text();
  const lines = page.split('\n').filter((line) => !line.startsWith('#') && pattern.test(line));
  return lines.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0);
}

/** Calls until it is told to stop. */
function caller(method, headers = {}) {
  const result = { calls: 0, failures: [], slowest: 0 };
  let going = true;
  const one = async () => {
    while (going) {
      const begun = performance.now();
      const response = await fetch(`${url}/load`, { method, headers });
      const body = await response.json();
      result.calls++;
      if (response.status === 200) continue;
      result.failures.push(body.errorCode);
      result.slowest = Math.max(result.slowest, performance.now() - begun);
    }
  };
  const over = Promise.all(Array.from({ length: CALLERS }, one));
  return {
    result,
    async stop() {
      going = false;
      await over;
      return result;
    },
  };
}

try {
  const [first, second] = [await instance(1), await instance(2)];
  const to = [first, second].map((inbound) => `127.0.0.1:${inbound}`);
  const shop = {
    app: { id: 'shop' },
    listen: { port: Number(port) },
    callees: { orders: to },
    components: [],
  };
  runtime('shop', shop, { args: ['--metrics-port', String(metrics)] });
  const seen = new Map();
  await untilAnswered('both instances answer', async () => {
    const response = await fetch(`${url}/hello`);
    if (!response.ok) return false;
    const { instance: number, pid } = await response.json();
    seen.set(number, pid);
    return seen.size === 2;
  });

  const answer = await (await fetch(`${url}/orders/7?full=1`)).json();
  console.log(`HTTP:           ${answer.call}, by instance ${answer.instance}`);
  const client = new layotto.Client(port, '127.0.0.1');
  const invoked = await client.invoker.invoke({
    id: 'orders',
    method: '/orders',
    data: { item: 'tea' },
    httpVerb: POST,
  });
  console.log(`InvokeService:  ${invoked.content.call}, by instance ${invoked.content.instance}`);

  const before = await metric(FAILED);
  const kinds = {
    GET: caller('GET'),
    'POST, marked': caller('POST', { 'idempotency-key': 'anything' }),
    POST: caller('POST'),
  };
  await sleep(1_000);
  // Its app dies; `layotto run` then ends the Envoy beside it.
  process.kill(seen.get('2'), 'SIGKILL');
  await sleep(AFTER_MS);
  const results = {};
  for (const [kind, { stop }] of Object.entries(kinds)) results[kind] = await stop();
  for (const [kind, { calls, failures }] of Object.entries(results))
    console.log(`${`${kind}:`.padEnd(15)} ${calls} calls, ${failures.length} failed`);
  assert.equal(results['GET'].failures.length + results['POST, marked'].failures.length, 0);
  assert.ok(results['POST'].failures.length <= CALLERS);
  assert.ok(results['POST'].failures.every((code) => code === 'ERR_DIRECT_INVOKE'));
  await untilAnswered('the failures are counted', async () => {
    const counted = (await metric(FAILED)) - before;
    return counted === results['POST'].failures.length;
  });
  console.log(
    `counted:        ${results['POST'].failures.length} failures in envoy_cluster_upstream_rq of orders`,
  );
} finally {
  for (const child of children) child.kill('SIGTERM');
  await Promise.all(children.map((child) => child.exitCode ?? child.signalCode ?? once(child, 'exit')));
}
process.exit();
