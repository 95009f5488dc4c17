/**
 * `make bench`: what a call costs, on every door, beside an empty local answer of the same Envoy, a bare loop on the
 * same Redis, and daprd on the same Redis where DAPRD_BIN names it. docs/performance.md explains what is measured.
 *
 * All cases take turns in every round, so that a machine that slows down slows all of them; every second round goes
 * backwards. Each figure is the median over the rounds, with the lowest and the highest behind it.
 *
 * Environment: BENCH_ONLY (a regular expression on the cases' ids), BENCH_FULL=1 (everything), BENCH_ROUNDS,
 * BENCH_SECONDS (of a case in a round), BENCH_PATIENCE (seconds to wait in all for quiet moments), BENCH_NICE (the
 * priority), BENCH_WORKERS (1, Envoy's threads), BENCH_LOAD (h2load or node), DAPRD_BIN, BENCH_WRITE=1 (the result
 * goes into docs/performance.md).
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { setPriority, tmpdir } from 'node:os';
import { join } from 'node:path';

import { SERVERS, chooseCases, isReference, storesOf } from './cases.mjs';
import { checkedCall } from './check.mjs';
import { describeMachine, readBusy, shareOfOthers, untilQuiet } from './machine.mjs';
import { chooseGenerator, rssMiB, watchCpu } from './measure.mjs';
import { idleMemory, measureMemory } from './memory.mjs';
import { writeResults } from './output.mjs';
import { startPeer } from './peer.mjs';
import { startRedis, startRuntime } from './processes.mjs';
import { startRedisLoop } from './reference.mjs';
import { emptyRequest, stateRequest } from './requests.mjs';
import { readSettings } from './settings.mjs';
import { QUIET } from './summary.mjs';

const settings = readSettings(process.env);
const cases = chooseCases(settings);
if (cases.length === 0) throw new Error(`BENCH_ONLY matches no case: ${settings.only}`);
// What is started has the priority of this process.
if (settings.nice !== 0) setPriority(settings.nice);
const generator = chooseGenerator(settings.load);
const share = settings.patience / (cases.length * settings.rounds);
/** Seconds that may still be waited; every slice adds its share. */
let patience = 0;

const dir = mkdtempSync(join(tmpdir(), 'layotto-bench-'));
// An interrupted run ends like a finished one: the exit takes the processes along.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.once(signal, () => process.exit(130));
process.once('exit', () => rmSync(dir, { recursive: true, force: true }));

const started = [];
try {
  const redis = await startRedis(dir);
  started.push(redis);
  const { workers } = settings;
  const runtime = await startRuntime({ dir, workers, redisPort: redis.port, stores: storesOf('layotto') });
  started.push(...runtime.children);
  const peer = settings.daprd && (await startPeer({ dir, workers, redisPort: redis.port }));
  if (peer !== undefined) started.push(...peer.children);
  const idlePeer = await idleMemory(peer?.children ?? []);
  const loop = await startRedisLoop(redis.port);
  started.push(loop);

  const ports = {
    layotto: () => runtime.port,
    empty: () => runtime.emptyPort,
    daprd: (one) => (one.door === 'dapr-http' ? peer.httpPort : peer.port),
  };
  const prepared = [];
  for (const one of cases) prepared.push(await prepare(one, ports, loop));

  const minutes = (cases.length * (settings.rounds * (settings.seconds + 0.15) + 0.7) + 30) / 60;
  console.error(`${cases.length} cases, about ${Math.ceil(minutes)} minutes`);
  const results = [];
  for (let round = 0; round < settings.rounds; round++) {
    // The first round's figures are thrown away: code is still being compiled, pools are still being filled.
    for (const warm of round === 0 ? prepared : []) await slice(warm, Math.min(settings.seconds, 0.5));
    const order = round % 2 === 0 ? prepared : prepared.toReversed();
    for (const one of order) results.push({ ...one.case, round, ...(await slice(one, settings.seconds)) });
    console.error(`round ${round + 1} of ${settings.rounds}`);
  }
  const after = Object.fromEntries(started.map(({ name, pid }) => [name, rssMiB(pid)]));
  const { idle, module } = await measureMemory({ dir, redisPort: redis.port, generator });
  const memory = { idle: { ...idle, ...idlePeer }, module, after };
  const about = {
    date: new Date().toISOString().slice(0, 10),
    machine: describeMachine(),
    versions: { envoy: runtime.version, node: `Node ${process.version}`, redis: redis.version },
    generator: generator.label,
    rounds: settings.rounds,
    seconds: settings.seconds,
    nice: settings.nice,
    workers,
    peer: peer !== undefined,
    others: results.map(({ others }) => others),
  };
  writeResults({ about, results, memory }, settings.write);
} finally {
  await Promise.all(started.map((child) => child.stop()));
}

/** Saves what will be read, makes sure that the call is answered well, and finds out how long the answer is. */
async function prepare(one, ports, loop) {
  const { server, door, call, bytes, inflight } = one;
  const { processes, program, store } = SERVERS[server];
  const watched = started.filter(({ name }) => processes.includes(name));
  if (program === 'ioredis') return { case: one, watched, run: (seconds) => loop.run({ inflight, seconds }) };
  const port = ports[program](one);
  const value = 'x'.repeat(bytes);
  // A save makes the ETag longer, so what is read must not be what is saved.
  const key = [server, door, call, bytes].join('-');
  const real = (name) => stateRequest(door, name, { store: store?.name ?? 'none', key, value });
  const request = isReference(server) ? emptyRequest(real(call)) : real(call);
  if (!isReference(server)) await checkedCall(port, real('save'));
  const good = (body) => isReference(server) || call === 'save' || body.includes(value);
  const check = () => checkedCall(port, request, good);
  const load = { port, request, inflight, dir, answerBytes: await check() };
  return { case: one, watched, check, run: (seconds) => generator.run({ ...load, seconds }) };
}

/** One case for some seconds, with a checked call before and after it. */
async function slice({ case: { id }, watched, check, run }, seconds) {
  try {
    await check?.();
    patience += share;
    if (patience > 0) patience -= await untilQuiet(patience, QUIET);
    const before = readBusy(watched);
    const result = await watchCpu(watched, () => run(seconds));
    const others = shareOfOthers(before, readBusy(watched));
    await check?.();
    return { ...result, others };
  } catch (error) {
    throw new Error(`${id}: ${error.message}`, { cause: error });
  }
}
