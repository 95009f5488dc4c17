import { mkdirSync } from 'node:fs';
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
 * module adds to Envoy: resident memory with the runtime's listener, less that with one that is the same but for the
 * filter and the Lua filter behind it, each after the same kind of traffic.
 *
 * @returns {Promise<{ idle: Record<string, number>, module: { with: number, without: number } }>} MiB
 */
export async function measureMemory({ dir, redisPort, generator }) {
  const bare = start('bare Node', process.execPath, ['-e', 'setInterval(() => undefined, 60_000)']);
  const module = {};
  let idle = {};
  for (const [name, filter] of Object.entries({ without: false, with: true })) {
    const own = join(dir, `memory-${name}`);
    mkdirSync(own);
    const stores = [{ name: STORE }];
    const runtime = await startRuntime({ dir: own, workers: WORKERS, redisPort, stores, filter });
    idle = await idleMemory([...runtime.children, bare]);
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
    module[name] = rssMiB(runtime.envoy.pid);
    await Promise.all(runtime.children.map((child) => child.stop()));
  }
  await bare.stop();
  return { idle, module };
}
