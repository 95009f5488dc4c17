import { readFile, readdir } from 'node:fs/promises';

import { grpcFrame } from '../support/grpc-raw.js';
import { described } from '../support/openapi.js';
import { HostEmulator } from '../../cli/src/emulator/emulator.js';
import { configuration, grpcHeaders } from './harness.js';

const RUNTIME = '/spec.proto.runtime.v1.Runtime';

/** For each module, a call that it refuses by itself if it serves it, and the code of that. */
const MODULES: Record<string, [path: string, code: number]> = {
  binding: [`${RUNTIME}/InvokeBinding`, 13],
  configuration: [`${RUNTIME}/GetConfiguration`, 9],
  file: [`${RUNTIME}/ListFile`, 3],
  hello: [`${RUNTIME}/SayHello`, 3],
  lifecycle: ['/spec.proto.runtime.v1.Lifecycle/ApplyConfiguration', 3],
  lock: [`${RUNTIME}/TryLock`, 9],
  secret: [`${RUNTIME}/GetSecret`, 9],
  state: [`${RUNTIME}/GetState`, 3],
};

describe('single modules', () => {
  test('load, each by itself', async () => {
    const files = await readdir(new URL('../../assembly/modules', import.meta.url));
    for (const file of files) {
      const name = file.replace('.ts', '');
      const bytes = await readFile(new URL(`../../dist/modules/${name}.wasm`, import.meta.url));
      const host = await HostEmulator.load(bytes);
      expect([name, host.start(JSON.stringify(configuration())).ok]).toEqual([name, true]);
    }
  });

  test.each(Object.keys(MODULES))('%s.wasm serves its primitive, and no other', async (name) => {
    const bytes = await readFile(new URL(`../../dist/modules/${name}.wasm`, import.meta.url));
    const host = await HostEmulator.load(bytes);
    const { root, ok } = host.start(JSON.stringify(configuration()));
    expect(ok).toBe(true);
    for (const [other, [path, code]] of Object.entries(MODULES)) {
      const stream = host.openStream(root).request(grpcHeaders(path), grpcFrame(new Uint8Array(0)));
      expect([other, stream.answer?.grpcStatus]).toEqual([other, other === name ? code : 12]);
    }
  });

  const operations = described().filter(
    ({ path, operation }) =>
      path.startsWith('/v1.0-layotto/') && Object.hasOwn(MODULES, operation.tags[0] ?? ''),
  );
  test.each(operations)(
    '$path is served by the module of its primitive, and by no other',
    async ({ path, method, operation: { tags } }) => {
      for (const name of Object.keys(MODULES)) {
        const bytes = await readFile(new URL(`../../dist/modules/${name}.wasm`, import.meta.url));
        const host = await HostEmulator.load(bytes);
        const { root } = host.start(JSON.stringify(configuration()));
        const headers = { ':method': method, ':path': path, ':scheme': 'http', ':authority': 'localhost' };
        const { answer } = host.openStream(root).request(headers, Buffer.from('{}'));
        const unserved = answer?.status === 501;
        expect([name, unserved]).toEqual([name, name !== tags[0]]);
      }
    },
  );
});
