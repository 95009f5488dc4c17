import { fileURLToPath } from 'node:url';

import { buildFunction } from '../../tools/function.mjs';
import { HostEmulator } from '../../cli/src/emulator/emulator.js';
import { configuration } from './harness.js';

const CALLS = 500;
const NAMES = 50;
const MIB = 1024 * 1024;

test('what calls leave behind is collected between them, and what a function keeps stays', async () => {
  const source = fileURLToPath(new URL('assembly/wasteful-function.ts', import.meta.url));
  const module = await buildFunction(source);
  // Envoy makes some 15 to 20 KB of memory of each.
  expect(module.length).toBeLessThan(90 * 1024);
  const host = await HostEmulator.load(module);
  const { root, ok } = host.start(JSON.stringify({ ...configuration(), function: { id: 'wasteful' } }));
  expect(ok).toBe(true);
  const call = (n: number): string | undefined => get(`/?name=name-${String(n % NAMES).padStart(4, '0')}`);
  const get = (path: string): string | undefined => {
    const stream = host.openStream(root);
    const headers = { ':method': 'GET', ':path': path, ':authority': 'localhost' };
    return stream.request(headers).answer?.body.toString();
  };
  // A call of the host that leads to a callback, which returns before it does.
  host.logs.push = () => {
    host.tick(root);
    return 0;
  };
  for (let n = 0; n < CALLS; n++)
    expect(call(n)).toBe(`${Math.floor(n / NAMES) + 1} of ${Math.min(n + 1, NAMES)} ${256 * 10}`);
  // Nothing was collected that a method still had.
  expect(get('/')).toBe('0');
  // A call leaves more than half a MiB behind, of which the memory must hold no more than some calls'.
  expect(host.memoryBytes).toBeLessThanOrEqual(4 * MIB);
});
