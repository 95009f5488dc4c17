/**
 * `make profile`: where Envoy, the bridge and Redis spend their time while one kind of call is under way, and where
 * Envoy spends it on an answer of its own that says nothing.
 *
 * Envoy and Redis are sampled with `perf` (Linux, as root or with perf_event_paranoid ≤ 1), the bridge with V8's own
 * profiler and with `perf`, which also sees the kernel. Without `perf` the bridge's is the only one. The release
 * build of Envoy has no symbols; see elf.mjs for how its functions get names.
 *
 * Environment: BENCH_SERVER (layotto, a name of cases.mjs), BENCH_DOOR (layotto-grpc), BENCH_CALL (get), BENCH_BYTES
 * (1024), BENCH_INFLIGHT (16), BENCH_SECONDS (6), BENCH_WORKERS (1), BENCH_LOAD (h2load or node), BENCH_WRITE=1 (a
 * short form goes into docs/performance.md).
 */
import { mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { SERVERS } from '../cases.mjs';
import { checkedCall } from '../check.mjs';
import { chooseGenerator, watchCpu } from '../measure.mjs';
import { intoPage } from '../output.mjs';
import { startRedis, startRuntime } from '../processes.mjs';
import { emptyRequest, stateRequest } from '../requests.mjs';
import { Binary } from './elf.mjs';
import { profileReport } from './report.mjs';
import { perfWorks, record, samples } from './samples.mjs';

const root = realpathSync(fileURLToPath(new URL('../../..', import.meta.url)));
const setting = (name, fallback) => process.env[name] || fallback;
const server = setting('BENCH_SERVER', 'layotto');
const door = setting('BENCH_DOOR', 'layotto-grpc');
const call = setting('BENCH_CALL', 'get');
const bytes = Number(setting('BENCH_BYTES', 1024));
const inflight = Number(setting('BENCH_INFLIGHT', 16));
const seconds = Number(setting('BENCH_SECONDS', 6));
const workers = Number(setting('BENCH_WORKERS', 1));
const store = SERVERS[server]?.program === 'layotto' ? SERVERS[server].store : undefined;
if (store === undefined) throw new Error(`BENCH_SERVER is ${server}, which is not served by the runtime`);

const dir = mkdtempSync(join(tmpdir(), 'layotto-profile-'));
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.once(signal, () => process.exit(130));
process.once('exit', () => rmSync(dir, { recursive: true, force: true }));

const perf = await perfWorks();
const profileFile = join(dir, 'bridge.cpuprofile');
process.env['BENCH_CPU_PROFILE'] = profileFile;
const hook = fileURLToPath(new URL('bridge-hook.mjs', import.meta.url));
// With the second, perf knows compiled JavaScript by name, from a file that Node leaves behind.
const bridgeFlags = ['--import', hook, ...(perf ? ['--perf-basic-prof-only-functions'] : [])];
const redis = await startRedis(dir);
const runtime = await startRuntime({ dir, workers, redisPort: redis.port, stores: [store], bridgeFlags });
const processes = [...runtime.children, redis];
const generator = chooseGenerator(process.env['BENCH_LOAD']);

const value = { store: store.name, key: 'profile', value: 'x'.repeat(bytes) };
await checkedCall(runtime.port, stateRequest(door, 'save', value));
const request = stateRequest(door, call, value);
const calls = await loadOf(runtime.port, request);
const empty = await loadOf(runtime.emptyPort, emptyRequest(request));

await generator.run({ ...calls, seconds: 3 });
const plain = await watchCpu(processes, () => generator.run(calls));
const plainEmpty = await watchCpu([runtime.envoy], () => generator.run(empty));
const recorded = await sampled(processes, calls);
const recordedEmpty = await sampled([runtime.envoy], empty);
// V8's profiler slows the bridge, so it has a turn of its own.
process.kill(runtime.bridge.pid, 'SIGUSR2');
await generator.run(calls);
process.kill(runtime.bridge.pid, 'SIGUSR2');
const profile = await written(profileFile);
await Promise.all(processes.map((one) => one.stop()));
rmSync(`/tmp/perf-${runtime.bridge.pid}.map`, { force: true });

const program = realpathSync(runtime.envoy.path);
const { text, short } = profileReport({
  title: `${call} of ${bytes} bytes, ${door}, ${inflight} in flight${server === 'layotto' ? '' : `, ${server}`}`,
  versions: [runtime.version, `Node ${process.version}`, redis.version, `load by ${generator.label}`],
  processes,
  calls: { plain, samples: recorded },
  empty: { plain: plainEmpty, samples: recordedEmpty },
  program,
  binary: perf ? new Binary(program) : undefined,
  profile,
  root,
});
const out = join(root, 'test/.results/bench');
const name = [server, door, call, bytes, inflight].join('-');
mkdirSync(out, { recursive: true });
writeFileSync(join(out, `profile-${name}.md`), text);
writeFileSync(join(out, `bridge-${name}.cpuprofile`), JSON.stringify(profile));
if (process.env['BENCH_WRITE'] === '1') intoPage('profile', short);
console.log(text);
console.log(`written to ${join(out, `profile-${name}.md`)}, and bridge-${name}.cpuprofile beside it`);

async function loadOf(port, wanted) {
  return { port, request: wanted, inflight, seconds, dir, answerBytes: await checkedCall(port, wanted) };
}

async function sampled(watched, load) {
  if (!perf) return [];
  const file = join(dir, 'perf.data');
  const stop = await record(
    watched.map(({ pid }) => pid),
    file,
  );
  await generator.run(load);
  await stop();
  return samples(file);
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
