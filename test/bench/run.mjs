/**
 * `make bench`: what a call costs. GetState and SaveState of 1 KiB on Redis over Layotto gRPC at 1, 16 and 64 in
 * flight, with the CPU time each process spent on it; beside them an empty local answer of the same Envoy, and
 * daprd on the same Redis where DAPRD_BIN names it.
 *
 * All variants take turns in every round, so that a machine that slows down slows all of them. Each figure is the
 * median over the rounds, with the lowest and the highest behind it.
 *
 * Environment: BENCH_ROUNDS (5), BENCH_SECONDS (2, per variant and round), BENCH_WORKERS (1, Envoy's threads).
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';

import { measure } from './measure.mjs';
import { startDaprd, startRedis, startRuntime } from './processes.mjs';
import { report } from './report.mjs';

const ROUNDS = Number(process.env['BENCH_ROUNDS'] ?? 5);
const SECONDS = Number(process.env['BENCH_SECONDS'] ?? 2);
const WORKERS = Number(process.env['BENCH_WORKERS'] ?? 1);
const IN_FLIGHT = [1, 16, 64];
const LAYOTTO = '/spec.proto.runtime.v1.Runtime';
const DAPR = '/dapr.proto.runtime.v1.Dapr';

const dir = mkdtempSync(join(tmpdir(), 'layotto-bench-'));
// An interrupted run ends like a finished one: the exit takes the processes along.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.once(signal, () => process.exit(130));
process.once('exit', () => rmSync(dir, { recursive: true, force: true }));

const started = [];
try {
  const redis = await startRedis(dir);
  started.push(redis);
  const runtime = await startRuntime({ dir, workers: WORKERS, redisPort: redis.port });
  started.push(...runtime.children);
  const daprd = await startDaprd({ dir, redisPort: redis.port });
  if (daprd !== undefined) started.push(daprd.child);

  const value = 'x'.repeat(1024);
  const bodies = {
    GetState: file('get', frame(Buffer.concat([text(1, 'statestore'), text(2, 'bench')]))),
    SaveState: file(
      'save',
      frame(
        Buffer.concat([text(1, 'statestore'), bytes(2, Buffer.concat([text(1, 'bench'), text(2, value)]))]),
      ),
    ),
  };
  const processes = [...runtime.children, redis];
  const variants = [
    ...Object.entries(bodies).map(([call, bodyFile]) => ({
      name: `${call}`,
      load: { target: { port: runtime.port }, path: `${LAYOTTO}/${call}`, bodyFile },
      processes,
    })),
    {
      name: 'empty `direct_response`',
      load: {
        target: { port: runtime.emptyPort },
        path: '/',
        bodyFile: bodies.GetState,
        headers: { 'content-type': 'application/octet-stream' },
      },
      processes: [runtime.envoy],
    },
    ...(daprd === undefined
      ? []
      : Object.entries(bodies).map(([call, bodyFile]) => ({
          name: `${call}, daprd`,
          load: { target: { port: daprd.port }, path: `${DAPR}/${call}`, bodyFile },
          processes: [daprd.child, redis],
        }))),
  ];

  for (const { load, name } of variants) {
    // The save comes first, so that every read finds a value.
    const order = { ...load, path: load.path.replace('GetState', 'SaveState') };
    if (load.path.includes('State')) order.bodyFile = bodies.SaveState;
    const { failed, statuses } = await measure({ ...order, inflight: 16, seconds: 1 }, []);
    if (failed > 0)
      throw new Error(`${name}: ${failed} calls failed while warming up: ${JSON.stringify(statuses)}`);
  }
  const results = [];
  for (let round = 0; round < ROUNDS; round++) {
    for (const inflight of IN_FLIGHT) {
      for (const { name, load, processes: watched } of variants) {
        const result = await measure({ ...load, inflight, seconds: SECONDS }, watched);
        if (result.failed > 0)
          throw new Error(`${name}: ${result.failed} calls failed: ${JSON.stringify(result.statuses)}`);
        results.push({ name, inflight, ...result });
      }
    }
    console.error(`round ${round + 1} of ${ROUNDS}`);
  }
  console.log(
    `${cpus().length} CPUs, ${cpus()[0]?.model ?? 'unknown'}; Node ${process.version}; ${runtime.version};`,
  );
  console.log(`${redis.version}; ${WORKERS} Envoy worker(s); ${ROUNDS} rounds of ${SECONDS} s each.\n`);
  console.log(report(results, started));
} finally {
  await Promise.all(started.map((child) => child.stop()));
}

function file(name, content) {
  const path = join(dir, `${name}.body`);
  writeFileSync(path, content);
  return path;
}

// The two requests are small enough to be written by hand, as a client would put them on the wire.
function frame(message) {
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(message.length, 1);
  return Buffer.concat([prefix, message]);
}

function text(field, value) {
  return bytes(field, Buffer.from(value));
}

function bytes(field, value) {
  const length = value.length < 128 ? [value.length] : [(value.length & 0x7f) | 0x80, value.length >> 7];
  return Buffer.concat([Buffer.from([(field << 3) | 2, ...length]), value]);
}
