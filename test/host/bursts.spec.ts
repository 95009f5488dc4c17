import { fileURLToPath } from 'node:url';

import { HostEmulator } from '../../cli/src/emulator/emulator.js';
import { buildFunction } from '../../tools/function.mjs';
import { configuration, Filter } from './harness.js';

/** More than are kept for the next ones. */
const AT_ONCE = 600;
const BURSTS = 30;

/** By how much the memory grows after as many bursts as it takes to have what one needs. */
function growth(burst: () => void, memory: () => number): number {
  for (let n = 0; n < BURSTS; n++) burst();
  const before = memory();
  for (let n = 0; n < BURSTS; n++) burst();
  return memory() - before;
}

describe('bursts of calls leave nothing behind', () => {
  test('of an API', async () => {
    const filter = await Filter.configured();
    const { host, root } = filter;
    const headers = { ':method': 'POST', ':path': '/v1.0/state/nowhere', ':authority': 'localhost' };
    const burst = (): void => {
      const streams = Array.from({ length: AT_ONCE }, () => host.openStream(root));
      for (const stream of streams) stream.callOnRequestHeaders(headers, false);
      for (const stream of streams) stream.callOnRequestBody(Buffer.from('[]'), true);
      for (const stream of streams) expect(stream.answer?.status).toBe(400);
    };
    expect(growth(burst, () => host.memoryBytes)).toBe(0);
  });

  test('nor does a configuration that is replaced', async () => {
    const { host, root } = await Filter.configured();
    let current = root;
    const headers = { ':method': 'GET', ':path': '/v1.0/state/nowhere/k', ':authority': 'localhost' };
    const push = (): void => {
      const streams = Array.from({ length: 200 }, () => host.openStream(current));
      for (const stream of streams) stream.request(headers);
      const next = host.addRoot(JSON.stringify(configuration()));
      expect(next.ok).toBe(true);
      host.removeRoot(current);
      current = next.root;
    };
    expect(growth(push, () => host.memoryBytes)).toBe(0);
  });

  test('of a function', async () => {
    const source = fileURLToPath(new URL('assembly/bounded-function.ts', import.meta.url));
    const host = await HostEmulator.load(await buildFunction(source));
    const { root, ok } = host.start(JSON.stringify({ ...configuration(), function: { id: 'f' } }));
    expect(ok).toBe(true);
    const headers = { ':method': 'POST', ':path': '/?do=body', ':authority': 'localhost' };
    const burst = (): void => {
      const streams = Array.from({ length: AT_ONCE }, () => host.openStream(root));
      for (const stream of streams) stream.callOnRequestHeaders(headers, false);
      for (const stream of streams) if (stream.answer === undefined) stream.reset();
    };
    expect(growth(burst, () => host.memoryBytes)).toBe(0);
  });
});
