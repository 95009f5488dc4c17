/**
 * The part of `make bench` about functions: Envoy's CPU time per call, beside an answer of Envoy's own on the same
 * listener; the time from a push to the first answer; and the memory that one more function takes.
 *
 * Environment: as in run.mjs, of which BENCH_ONLY (`functions/cpu`, `functions/push`, `functions/memory`), BENCH_ROUNDS,
 * BENCH_SECONDS, BENCH_WORKERS, BENCH_LOAD, BENCH_NICE and BENCH_WRITE are heeded.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { setPriority, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { buildFunction } from '../../tools/function.mjs';
import { checkedCall } from './check.mjs';
import { EMPTY_PATH } from './function-slots.mjs';
import { measurePushes } from './function-pushes.mjs';
import { functionsReport } from './functions-report.mjs';
import { describeMachine, readBusy, shareOfOthers } from './machine.mjs';
import { chooseGenerator, watchCpu } from './measure.mjs';
import { envoyMemory } from './memory.mjs';
import { intoPage } from './output.mjs';
import { startRedis, startRuntime } from './processes.mjs';
import { stateRequest } from './requests.mjs';
import { readSettings } from './settings.mjs';

const SOURCES = {
  'at-once': 'test/bench/assembly/at-once.ts',
  stock: 'examples/function-bookstore/assembly/stock.ts',
  relay: 'test/bench/assembly/relay.ts',
};
const IN_FLIGHT = [1, 16, 64];
/** Of each function, so that the memory of one is a difference in which what all share is not. */
const COPIES = { few: 2, many: 8 };
const MEMORY_WORKERS = 2;
/** Until what was allocated while starting is given back. */
const SETTLE_MS = 3000;

const settings = readSettings(process.env);
if (settings.nice !== 0) setPriority(settings.nice);
const root = fileURLToPath(new URL('../..', import.meta.url));
const dir = mkdtempSync(join(tmpdir(), 'layotto-bench-'));
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.once(signal, () => process.exit(130));
process.once('exit', () => rmSync(dir, { recursive: true, force: true }));

const modules = {};
for (const [id, source] of Object.entries(SOURCES)) {
  modules[id] = join(dir, `${id}.wasm`);
  writeFileSync(modules[id], await buildFunction(join(root, source)));
}
const wanted = (part) => settings.only.test(`functions/${part}`);
const redis = await startRedis(dir);
try {
  const cpu = wanted('cpu') ? await measureCpu() : [];
  const pushes = wanted('push')
    ? await measurePushes({ dir: folder('push'), file: modules.stock, times: 3 * settings.rounds })
    : [];
  const memory = wanted('memory') ? await measureMemory() : undefined;
  const date = new Date().toISOString().slice(0, 10);
  const results = { cpu, pushes, memory };
  const text = functionsReport({ date, machine: describeMachine(), settings, ...results });
  const written = new URL('../.results/bench/', import.meta.url);
  mkdirSync(written, { recursive: true });
  writeFileSync(new URL('functions.json', written), JSON.stringify(results, undefined, 1));
  if (settings.write) intoPage('functions', text);
  console.log(text);
} finally {
  await redis.stop();
}

function folder(name) {
  const path = join(dir, name);
  mkdirSync(path);
  return path;
}

async function measureCpu() {
  const generator = chooseGenerator(settings.load);
  const functions = Object.entries(modules).map(([id, file]) => ({ id, file }));
  const stores = [{ name: 'statestore' }];
  const runtime = await startRuntime({
    ...{ dir: folder('cpu'), workers: settings.workers, redisPort: redis.port, stores, functions },
  });
  try {
    const saved = { store: 'statestore', key: 'book1', value: '100' };
    await checkedCall(runtime.port, stateRequest('dapr-http', 'save', saved));
    const get = (path, headers) => ({ protocol: 'http1', method: 'GET', path, headers });
    const cases = [
      { what: 'empty', request: get(EMPTY_PATH, {}) },
      { what: 'at-once', request: get('/', { id: 'at-once' }) },
      { what: 'stock', request: get('/?name=book1', { id: 'stock' }) },
      { what: 'relay', request: get('/', { id: 'relay' }) },
    ].flatMap((one) => IN_FLIGHT.map((inflight) => ({ ...one, inflight })));
    const results = [];
    const port = runtime.functionsPort;
    for (let round = 0; round < settings.rounds; round++) {
      const order = round % 2 === 0 ? cases : cases.toReversed();
      for (const { what, request, inflight } of order) {
        const load = { port, request, inflight, dir, answerBytes: await checkedCall(port, request) };
        if (round === 0) await generator.run({ ...load, seconds: Math.min(settings.seconds, 0.5) });
        const run = () => generator.run({ ...load, seconds: settings.seconds });
        const watched = [...runtime.children, redis];
        const before = readBusy(watched);
        const measured = await watchCpu(runtime.children, run);
        results.push({
          what,
          inflight,
          round,
          ...measured,
          others: shareOfOthers(before, readBusy(watched)),
        });
        await checkedCall(port, request);
      }
      console.error(`functions: round ${round + 1} of ${settings.rounds}`);
    }
    return results;
  } finally {
    await Promise.all(runtime.children.map((child) => child.stop()));
  }
}

/** Envoy's own memory with a few functions and with more; the difference for each one, in MiB. */
async function measureMemory() {
  const found = {};
  for (const [name, copies] of Object.entries(COPIES)) {
    const functions = Array.from({ length: copies }, (_, i) => ({ id: `copy-${i}`, file: modules.stock }));
    const runtime = await startRuntime({
      ...{ dir: folder(`memory-${name}`), workers: MEMORY_WORKERS, redisPort: redis.port, filter: false },
      ...{ stores: [{ name: 'statestore' }], functions, functionSlots: COPIES.many },
    });
    await settled();
    const idle = envoyMemory(runtime.envoy.pid).own;
    for (const { id } of functions) await callEach(runtime.functionsPort, id);
    await settled();
    found[name] = { idle, busy: envoyMemory(runtime.envoy.pid).own };
    await Promise.all(runtime.children.map((child) => child.stop()));
  }
  const each = (when) => (found.many[when] - found.few[when]) / (COPIES.many - COPIES.few);
  return { idle: each('idle'), busy: each('busy'), workers: MEMORY_WORKERS };
}

/** Calls a function on connections of their own, so that every worker gets some. */
async function callEach(port, id) {
  const call = () =>
    fetch(`http://127.0.0.1:${port}/?name=book1`, { headers: { id, connection: 'close' } }).then((answer) =>
      answer.arrayBuffer(),
    );
  for (let i = 0; i < 8; i++) await Promise.all(Array.from({ length: 8 }, call));
}

function settled() {
  return new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
}
