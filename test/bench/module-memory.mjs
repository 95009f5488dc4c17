/**
 * What the module adds to an Envoy with two workers: `node test/bench/module-memory.mjs`, after a build. Two Envoys that
 * are the same but for the filters, each after the same traffic. Anonymous memory is the process's own; pages of files,
 * such as Envoy's program, are there once for all pods of a node that run the same image.
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { checkedCall } from './check.mjs';
import { chooseGenerator } from './measure.mjs';
import { startRedis, startRuntime } from './processes.mjs';
import { stateRequest } from './requests.mjs';

const WORKERS = 2;
const SECONDS = 3;
const STORE = 'statestore';

const dir = mkdtempSync(join(tmpdir(), 'module-memory-'));
const redis = await startRedis(dir);
const rows = {};
try {
  const generator = chooseGenerator();
  for (const [name, filter] of Object.entries({ 'without the module': false, 'with the module': true })) {
    rows[name] = await measure(join(dir, String(filter)), filter, generator);
  }
} finally {
  await redis.stop();
  rmSync(dir, { recursive: true, force: true });
}
const [before, after] = Object.values(rows);
rows.difference = Object.fromEntries(Object.entries(after).map(([key, value]) => [key, value - before[key]]));
for (const [name, row] of Object.entries(rows)) {
  const facts = Object.entries(row).map(([key, value]) => `${key} ${value.toFixed(1)} MiB`);
  console.log(`${name}: ${facts.join(', ')}`);
}

async function measure(own, filter, generator) {
  mkdirSync(own);
  const stores = [{ name: STORE }];
  const runtime = await startRuntime({ dir: own, workers: WORKERS, redisPort: redis.port, stores, filter });
  try {
    const idle = memoryOf(runtime.envoy.pid);
    const value = { store: STORE, key: 'memory', value: 'x'.repeat(1024) };
    await checkedCall(runtime.port, stateRequest('dapr-http', 'save', value));
    const load = {
      port: runtime.port,
      request: stateRequest('dapr-http', 'get', value),
      seconds: SECONDS,
      dir: own,
    };
    const answerBytes = await checkedCall(load.port, load.request);
    await generator.run({ ...load, inflight: 32, answerBytes });
    const busy = memoryOf(runtime.envoy.pid);
    return {
      'idle: resident': idle.resident,
      own: idle.own,
      'after traffic: resident': busy.resident,
      'own after traffic': busy.own,
    };
  } finally {
    await Promise.all(runtime.children.map((child) => child.stop()));
  }
}

/** In MiB, as the kernel counts. */
function memoryOf(pid) {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const of = (name) => Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(status)?.[1] ?? NaN) / 1024;
  return { resident: of('VmRSS'), own: of('RssAnon') };
}
