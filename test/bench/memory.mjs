import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import { checkedCall } from './check.mjs';
import { start } from './child.mjs';
import { rssMiB } from './measure.mjs';
import { startRuntime } from './processes.mjs';
import { stateRequest } from './requests.mjs';

const WORKERS = 2;
const SECONDS = 3;
/** Until what was allocated while starting is given back. */
const SETTLE_MS = 3000;
const STORE = 'statestore';

/**
 * Resident memory in MiB of processes that were started and not called but for asking whether they are ready.
 *
 * @param {{ name: string, pid: number }[]} children
 * @returns {Promise<Record<string, number>>}
 */
export async function idleMemory(children) {
  await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
  return Object.fromEntries(children.map(({ name, pid }) => [name, rssMiB(pid)]));
}

/**
 * What a runtime with one store and two Envoy workers takes when idle, beside a Node that does nothing; and what the
 * module adds to Envoy: see {@link measureModule}.
 *
 * @returns {Promise<{ idle: Record<string, number>, module: Record<'with' | 'without', { resident: number, own: number }> }>}
 *   MiB
 */
export async function measureMemory({ dir, redisPort, generator }) {
  const bare = start('bare Node', process.execPath, ['-e', 'setInterval(() => undefined, 60_000)']);
  let idle = {};
  const onIdle = async ({ children }) => (idle = await idleMemory([...children, bare]));
  const module = await measureModule({ dir, redisPort, generator, onIdle });
  await bare.stop();
  return { idle, module: { with: module.with.busy, without: module.without.busy } };
}

/**
 * The memory of two Envoys that are the same but for the module's filter and the Lua filter behind it, idle and after
 * the same kind of traffic. Own memory is anonymous; pages of files, such as Envoy's program, are there once for all
 * processes that have the file open.
 *
 * @param {{ onIdle: (runtime: object) => Promise<unknown> }} options `onIdle` is awaited before the first traffic
 * @returns {Promise<Record<'without' | 'with', Record<'idle' | 'busy', { resident: number, own: number }>>>} MiB
 */
export async function measureModule({ dir, redisPort, generator, onIdle = async () => undefined }) {
  const module = {};
  for (const [name, filter] of Object.entries({ without: false, with: true })) {
    const own = join(dir, `memory-${name}`);
    mkdirSync(own);
    const stores = [{ name: STORE }];
    const runtime = await startRuntime({ dir: own, workers: WORKERS, redisPort, stores, filter });
    await onIdle(runtime);
    const idle = envoyMemory(runtime.envoy.pid);
    const value = { store: STORE, key: 'memory', value: 'x'.repeat(1024) };
    await checkedCall(runtime.port, stateRequest('dapr-http', 'save', value));
    const load = {
      port: runtime.port,
      request: stateRequest('dapr-http', 'get', value),
      seconds: SECONDS,
      dir: own,
    };
    const answerBytes = await checkedCall(load.port, load.request);
    // Over HTTP/1.1 each call in flight has a connection, so both workers get some.
    await generator.run({ ...load, inflight: 32, answerBytes });
    module[name] = { idle, busy: envoyMemory(runtime.envoy.pid) };
    await Promise.all(runtime.children.map((child) => child.stop()));
  }
  return module;
}

/** In MiB, as the kernel counts. */
export function envoyMemory(pid) {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const of = (name) => Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(status)?.[1] ?? NaN) / 1024;
  return { resident: of('VmRSS'), own: of('RssAnon') };
}
