import { Readable } from 'node:stream';
import { Client as LayottoClient } from 'layotto';

import { GRPC_SERVERS, Runtime } from '../support/runtime.js';

/** Everything that the published client does with files, unmodified. */
describe.each(GRPC_SERVERS)('layotto over gRPC, by %s: files', (_, portOf) => {
  let runtime: Runtime;
  let client: LayottoClient;

  beforeAll(async () => {
    runtime = await Runtime.start({ listen: true, components: [{ name: 'local', type: 'file.local' }] });
    client = new LayottoClient(String(portOf(runtime)), '127.0.0.1');
  });

  afterAll(async () => {
    // The client has no call that ends its connection.
    (client as unknown as { _runtime: { close(): void } })._runtime.close();
    await runtime?.stop();
  });

  const file = (name: string) => ({ storeName: 'local', name });

  async function read(name: string): Promise<string> {
    const parts: Uint8Array[] = [];
    for await (const part of (await client.file.get(file(name))) as AsyncIterable<Uint8Array>)
      parts.push(part);
    return Buffer.concat(parts).toString();
  }

  test('put and get, from data and from a stream, with what Layotto demands of a put', async () => {
    const metadata = { FileMode: '420', FileFlag: '578' };
    await client.file.put({ ...file('a/one.txt'), data: Buffer.from('hello'), metadata });
    expect(await read('a/one.txt')).toBe('hello');
    const parts = Array.from({ length: 50 }, (_, i) => Buffer.alloc(50_000, String(i % 10)));
    await client.file.put({ ...file('a/two.txt'), stream: Readable.from(parts) });
    expect(await read('a/two.txt')).toBe(Buffer.concat(parts).toString());
  });

  /** Puts a file, and waits for it: `put` of this client returns when it has sent, not when the file is there. */
  async function put(name: string): Promise<void> {
    await client.file.put({ ...file(name), data: Buffer.from('x') });
    expect(await read(name)).toBe('x');
  }

  test('list', async () => {
    for (let i = 0; i < 5; i++) await put(`many/${i}`);
    expect(await client.file.list(file('many'))).toEqual({ names: ['0', '1', '2', '3', '4'] });
    await expect(client.file.list(file('nowhere'))).rejects.toMatchObject({ code: 5 });
  });

  test('delete', async () => {
    await put('gone');
    await client.file.delete(file('gone'));
    await expect(read('gone')).rejects.toMatchObject({
      code: 5,
      details: 'get file fail,err: file not found: gone',
    });
    await expect(client.file.delete(file('gone'))).rejects.toMatchObject({ code: 5 });
  });

  test('a store that is not there, in the words that its own tests expect', async () => {
    const nowhere = { storeName: 'notexists', name: 'x' };
    const reading = (await client.file.get(nowhere)) as AsyncIterable<Uint8Array>;
    await expect(
      (async () => {
        for await (const part of reading) expect(part).toBeUndefined();
      })(),
    ).rejects.toMatchObject({ code: 3, details: 'not supported store type: notexists' });
    await expect(client.file.list(nowhere)).rejects.toMatchObject({
      code: 3,
      details: 'not support store type: notexists',
    });
  });
});
