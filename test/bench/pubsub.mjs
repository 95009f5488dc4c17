/**
 * The second part of `make bench`: what an event costs from before it is published until the app has it. Through the
 * whole runtime (app, Envoy, bridge, broker, bridge, Envoy, app; Dapr's HTTP API both ways), and the broker's part of it
 * by itself, in a process without anything else.
 *
 * Environment: as in run.mjs, of which BENCH_ONLY, BENCH_ROUNDS, BENCH_SECONDS, BENCH_WORKERS, BENCH_NICE and
 * BENCH_WRITE are heeded.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { setPriority, tmpdir } from 'node:os';
import { join } from 'node:path';

import { freePort } from '../../tools/free-port.mjs';
import { describeMachine } from './machine.mjs';
import { watchCpu } from './measure.mjs';
import { intoPage } from './output.mjs';
import { pubsubReport } from './pubsub-report.mjs';
import { startRedis, startRuntime } from './processes.mjs';
import { startLoop } from './reference.mjs';
import { readSettings } from './settings.mjs';

const BYTES = 1024;
const IN_FLIGHT = [1, 16, 64];

const settings = readSettings(process.env);
if (settings.nice !== 0) setPriority(settings.nice);
const dir = mkdtempSync(join(tmpdir(), 'layotto-bench-'));
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.once(signal, () => process.exit(130));
process.once('exit', () => rmSync(dir, { recursive: true, force: true }));

const started = [];
try {
  const redis = await startRedis(dir);
  started.push(redis);
  const brokers = [
    { name: 'embedded', type: 'pubsub.embedded', metadata: {} },
    // What was delivered stays in a stream: a bound keeps the machine's memory out of it.
    {
      name: 'redis',
      type: 'pubsub.redis',
      metadata: { redisHost: `127.0.0.1:${redis.port}`, maxLenApprox: '10000' },
    },
  ];
  const appPort = await freePort();
  const app = { port: appPort, protocol: 'http' };
  const runtimeDir = join(dir, 'runtime');
  mkdirSync(runtimeDir);
  const { workers } = settings;
  const runtime = await startRuntime({
    ...{ dir: runtimeDir, workers, redisPort: redis.port, stores: [{ name: 'statestore' }] },
    ...{ others: brokers, app },
  });
  started.push(...runtime.children);
  const names = brokers.map(({ name }) => name).join(',');
  const whole = await startLoop('app', 'pubsub-app.mjs', [String(appPort), String(runtime.port), names]);
  started.push(whole);

  const cases = [];
  for (const { name, type, metadata } of brokers) {
    const folder = join(dir, `alone-${name}`);
    // A stream of its own.
    const own = { ...metadata, ...(type === 'pubsub.redis' ? { redisDB: '1' } : {}) };
    const alone = await startLoop('broker alone', 'broker-loop.mjs', [type, JSON.stringify(own), folder]);
    started.push(alone);
    for (const inflight of IN_FLIGHT) {
      const watched = [...runtime.children, redis];
      cases.push({
        id: `pubsub/${name}/whole/${inflight}`,
        broker: name,
        what: 'whole',
        inflight,
        by: whole,
        watched,
      });
      const part = [alone, redis];
      cases.push({
        id: `pubsub/${name}/alone/${inflight}`,
        broker: name,
        what: 'alone',
        inflight,
        by: alone,
        watched: part,
      });
    }
  }
  const chosen = cases.filter(({ id }) => settings.only.test(id));
  const results = [];
  for (let round = 0; round < settings.rounds; round++) {
    const order = round % 2 === 0 ? chosen : chosen.toReversed();
    for (const { id, broker, what, inflight, by, watched } of order) {
      const load = { broker, inflight, bytes: BYTES };
      // The first figures are thrown away: code is still being compiled.
      if (round === 0) await by.run({ ...load, seconds: Math.min(settings.seconds, 0.5) });
      const measured = await watchCpu(watched, () => by.run({ ...load, seconds: settings.seconds }));
      results.push({ id, broker, what, inflight, round, ...measured });
    }
    if (chosen.length > 0) console.error(`publish and subscribe: round ${round + 1} of ${settings.rounds}`);
  }
  if (results.length > 0) {
    const date = new Date().toISOString().slice(0, 10);
    const text = pubsubReport({ date, machine: describeMachine(), settings, results });
    const folder = new URL('../.results/bench/', import.meta.url);
    mkdirSync(folder, { recursive: true });
    writeFileSync(new URL('pubsub.json', folder), JSON.stringify(results, undefined, 1));
    if (settings.write) intoPage('pubsub', text);
    console.log(text);
  }
} finally {
  await Promise.all(started.map((child) => child.stop()));
}
