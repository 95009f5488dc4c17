import { mkdirSync } from 'node:fs';
import { join } from 'node:path';

import { checkedCall } from './check.mjs';
import { rssMiB } from './measure.mjs';
import { startRuntime } from './processes.mjs';
import { stateRequest } from './requests.mjs';

const WORKERS = 2;
const SECONDS = 3;

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
