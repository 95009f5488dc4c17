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

/**
 * Resident memory in MiB of processes that were started and not called but for asking whether they are ready, and of a
 * Node that does nothing at all.
 *
 * @param {{ name: string, pid: number }[]} children
 * @returns {Promise<Record<string, number>>}
 */
export async function idleMemory(children) {
  const bare = start('bare Node', process.execPath, ['-e', 'setInterval(() => undefined, 60_000)']);
  await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
  const measured = [...children, bare].map(({ name, pid }) => [name, rssMiB(pid)]);
  await bare.stop();
  return Object.fromEntries(measured);
}

/**
 * What the module adds to an Envoy with two workers: resident memory of one with the runtime's listener, less that of
 * one whose listener is the same but for the filter and the Lua filter behind it, each after the same kind of traffic.
 *
 * @returns {Promise<{ with: number, without: number }>} MiB
 */
export async function measureModule({ dir, redisPort, generator }) {
  const measured = {};
  for (const [name, filter] of Object.entries({ without: false, with: true })) {
    const own = join(dir, `memory-${name}`);
    mkdirSync(own);
    const { children, envoy, port } = await startRuntime({ dir: own, workers: WORKERS, redisPort, filter });
    const value = { store: 'statestore', key: 'memory', value: 'x'.repeat(1024) };
    await checkedCall(port, stateRequest('dapr-http', 'save', value));
    const request = stateRequest('dapr-http', 'get', value);
    const answerBytes = await checkedCall(port, request);
    // Over HTTP/1.1 each call in flight has a connection, so both workers get some.
    await generator.run({ port, request, inflight: 32, seconds: SECONDS, answerBytes, dir: own });
    measured[name] = rssMiB(envoy.pid);
    await Promise.all(children.map((child) => child.stop()));
  }
  return measured;
}
