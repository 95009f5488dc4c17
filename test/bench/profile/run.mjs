/**
 * `make profile`: where Envoy, the bridge and Redis spend their time while one kind of call is under way.
 *
 * Envoy and Redis are sampled with `perf` (Linux, as root or with perf_event_paranoid ≤ 1), the bridge with V8's own
 * profiler and with `perf`, which also sees the kernel. Without `perf` the bridge's is the only one. The release
 * build of Envoy has no symbols; see elf.mjs for how its functions get names.
 *
 * Environment: BENCH_DOOR (layotto-grpc), BENCH_CALL (get), BENCH_BYTES (1024), BENCH_INFLIGHT (16),
 * BENCH_SECONDS (6), BENCH_WORKERS (1).
 */
import { mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { checkedCall } from '../check.mjs';
import { chooseGenerator, watchCpu } from '../measure.mjs';
import { startRedis, startRuntime } from '../processes.mjs';
import { stateRequest } from '../requests.mjs';
import { selfTimes } from './cpuprofile.mjs';
import { Binary } from './elf.mjs';
import { envoyFrame } from './parts.mjs';
import { perfWorks, record, samples } from './samples.mjs';
import { addUp, entries, hostCalls, markdownTable, top } from './tables.mjs';

const root = realpathSync(fileURLToPath(new URL('../../..', import.meta.url)));
const setting = (name, fallback) => process.env[name] || fallback;
const door = setting('BENCH_DOOR', 'layotto-grpc');
const call = setting('BENCH_CALL', 'get');
const bytes = Number(setting('BENCH_BYTES', 1024));
const inflight = Number(setting('BENCH_INFLIGHT', 16));
const seconds = Number(setting('BENCH_SECONDS', 6));
const workers = Number(setting('BENCH_WORKERS', 1));

const dir = mkdtempSync(join(tmpdir(), 'layotto-profile-'));
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.once(signal, () => process.exit(130));
process.once('exit', () => rmSync(dir, { recursive: true, force: true }));

const perf = await perfWorks();
const profileFile = join(dir, 'bridge.cpuprofile');
process.env['BENCH_CPU_PROFILE'] = profileFile;
const hook = fileURLToPath(new URL('bridge-hook.mjs', import.meta.url));
const redis = await startRedis(dir);
const runtime = await startRuntime({ dir, workers, redisPort: redis.port, bridgeFlags: ['--import', hook] });
const processes = [...runtime.children, redis];
const generator = chooseGenerator(process.env['BENCH_LOAD']);

const value = { store: 'statestore', key: 'profile', value: 'x'.repeat(bytes) };
await checkedCall(runtime.port, stateRequest(door, 'save', value));
const request = stateRequest(door, call, value);
const load = {
  port: runtime.port,
  request,
  inflight,
  dir,
  answerBytes: await checkedCall(runtime.port, request),
};

await generator.run({ ...load, seconds: 3 });
const lines = [];
const say = (text) => lines.push(text, '');
const plain = await watchCpu(processes, () => generator.run({ ...load, seconds }));
const stop = perf
  ? await record(
      processes.map(({ pid }) => pid),
      join(dir, 'perf.data'),
    )
  : undefined;
await generator.run({ ...load, seconds });
await stop?.();
// V8's profiler slows the bridge, so it has a turn of its own.
process.kill(runtime.bridge.pid, 'SIGUSR2');
await generator.run({ ...load, seconds });
process.kill(runtime.bridge.pid, 'SIGUSR2');
const profile = await written(profileFile);
await Promise.all(processes.map((one) => one.stop()));

say(`# Profile: ${call} of ${bytes} bytes, ${door}, ${inflight} in flight`);
say(
  `${runtime.version}, Node ${process.version}, ${redis.version}; load by ${generator.label}; ${seconds} s.`,
);
say(
  `Without a profiler: ${plain.perSecond.toFixed(0)} calls/s, p50 ${plain.p50.toFixed(2)} ms, CPU per call ` +
    Object.entries(plain.cpuPerCall)
      .map(([name, cost]) => `${name} ${cost.toFixed(1)} µs`)
      .join(', ') +
    '.',
);
if (perf) sayPerf(await samples(join(dir, 'perf.data')));
else say('`perf` is not there or may not watch other processes: Envoy and Redis were not profiled.');

const { total, rows } = selfTimes(profile, root);
say('## Bridge, by function (V8 profiler, self time)');
say(shares(rows.slice(0, 40), total, plain.cpuPerCall['bridge'], 'function'));

const out = join(root, 'test/.results/bench');
mkdirSync(out, { recursive: true });
const report = join(out, `profile-${door}-${call}-${inflight}.md`);
writeFileSync(report, lines.join('\n'));
writeFileSync(join(out, `bridge-${door}-${call}-${inflight}.cpuprofile`), JSON.stringify(profile));
console.log(lines.join('\n'));
console.log(`written to ${report}`);

function sayPerf(all) {
  const program = realpathSync(runtime.envoy.path);
  const binary = new Binary(program);
  const describe = (frame) => envoyFrame(frame, binary, program);
  for (const { name, pid } of processes) {
    const own = all.filter((sample) => sample.pid === pid);
    const cost = plain.cpuPerCall[name];
    const sums = addUp(own, name === 'Envoy' ? describe : undefined);
    say(`## ${name}, by part (perf, self time, ${sums.samples} samples)`);
    say(shares(top(sums.parts, 20), sums.samples, cost, 'part'));
    say(`## ${name}, by function (self time)`);
    const functions = top(sums.self, 40).map(([label, number]) => {
      const caller = top(sums.callers.get(label) ?? new Map(), 1)[0]?.[0];
      return [caller === undefined ? label : `${label} ← ${caller}`, number];
    });
    say(shares(functions, sums.samples, cost, 'function ← its most frequent named caller'));
    if (name !== 'Envoy') continue;
    say('## Envoy, by function, with everything that it calls');
    say(shares(top(sums.inclusive, 60), sums.samples, cost, 'function'));
    sayModule(own, describe, sums.samples, cost);
  }
}

function sayModule(own, describe, total, cost) {
  const micros = (number) => ((number / total) * cost).toFixed(2);
  say('## Ways into the module, µs per call');
  const ways = [...entries(own, describe)].sort(([, a], [, b]) => b.code + b.host - a.code - a.host);
  const cells = ways.map(([name, { code, host, around, after }]) => [
    name,
    ...[code, host, around, after].map(micros),
  ]);
  say(markdownTable(['way in', 'its code', 'host functions', 'entering and leaving', 'what follows'], cells));
  const { below, rows: calls, callees } = hostCalls(own, describe);
  say(`## Below the module: ${percent(below, total)} of Envoy, by function of the host`);
  const functions = top(calls, 25).map(([label, number]) => {
    const callee = top(callees.get(label) ?? new Map(), 2).map(([name]) => name);
    return [[label, ...callee].join(' → '), number];
  });
  say(shares(functions, total, cost, 'function of the host → what it calls most'));
}

function shares(rows, total, cost, what) {
  return markdownTable(
    ['share', 'µs per call', what],
    rows.map(([label, number]) => [percent(number, total), ((number / total) * cost).toFixed(2), label]),
  );
}

function percent(part, whole) {
  return `${((part / whole) * 100).toFixed(1)} %`;
}

async function written(file) {
  for (let tries = 0; tries < 200; tries++) {
    try {
      return JSON.parse(readFileSync(file, 'utf8'));
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
  throw new Error(`the bridge wrote no profile to ${file}`);
}
