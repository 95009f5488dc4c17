import type { DaprClient } from '@dapr/dapr';
import { Client as LayottoClient } from 'layotto';
import { DAPR_DOORS, startDaprClient } from '../support/dapr-client.js';
import { EMBEDDED, GRPC_SERVERS, redisComponent, Runtime, VERSION } from '../support/runtime.js';
import { startStore, type StoreServer } from '../support/store-servers.js';

/** Over HTTP the client returns a refused write as a value, over gRPC it throws. */
async function orThrow(write: Promise<{ error?: Error }>): Promise<void> {
  const { error } = await write;
  if (error !== undefined) throw error;
}

/** The published clients, unmodified, against the running runtime. */
describe.each(['embedded', 'redis'])('published clients on %s', (store) => {
  let server: StoreServer | undefined;
  let runtime: Runtime;

  beforeAll(async () => {
    server = store === 'redis' ? await startStore('redis') : undefined;
    const component = server === undefined ? EMBEDDED : redisComponent(server.port);
    runtime = await Runtime.start({ listen: true, appId: 'shop', components: [component], concurrency: 2 });
  });

  afterAll(async () => {
    await runtime?.stop();
    await server?.stop();
  });

  describe.each(GRPC_SERVERS)('layotto over gRPC, by %s', (_, portOf) => {
    let client: LayottoClient;
    const storeName = 'statestore';
    const text = (value: Uint8Array | undefined): string => Buffer.from(value ?? []).toString();

    beforeAll(() => {
      client = new LayottoClient(String(portOf(runtime)), '127.0.0.1');
    });

    // The client has no call that ends its connection.
    afterAll(() => (client as unknown as { _runtime: { close(): void } })._runtime.close());

    test('saves, reads and deletes', async () => {
      expect(await client.state.get({ storeName, key: 'a' })).toBeNull();
      await client.state.save({ storeName, states: { key: 'a', value: 'one' } });
      const read = await client.state.get({ storeName, key: 'a' });
      expect(read).toMatchObject({ key: 'a', etag: '1' });
      expect(text(read?.value)).toBe('one');
      await client.state.delete({ storeName, key: 'a' });
      expect(await client.state.get({ storeName, key: 'a' })).toBeNull();
    });

    test('saves many, reads many, deletes many', async () => {
      const keys = ['m1', 'm2', 'm3'];
      await client.state.save({
        storeName,
        states: keys.map((key) => ({ key, value: Buffer.from(`of ${key}`) })),
      });
      const read = await client.state.getBulk({ storeName, keys: [...keys, 'none'] });
      expect(read.map(({ key, value }) => [key, text(value)]).sort()).toEqual(
        keys.map((key) => [key, `of ${key}`]),
      );
      await client.state.deleteBulk({ storeName, states: keys.map((key) => ({ key })) });
      expect(await client.state.getBulk({ storeName, keys })).toEqual([]);
    });

    test('keeps ETags', async () => {
      const options = { concurrency: 1, consistency: 2 } as const;
      await client.state.save({ storeName, states: { key: 'e', value: '1' } });
      await client.state.save({ storeName, states: { key: 'e', value: '2', etag: '1', options } });
      await expect(
        client.state.save({ storeName, states: { key: 'e', value: '3', etag: '1', options } }),
      ).rejects.toMatchObject({ code: 10 });
      await expect(client.state.delete({ storeName, key: 'e', etag: '1', options })).rejects.toMatchObject({
        code: 10,
      });
      await client.state.delete({ storeName, key: 'e', etag: '2', options });
    });

    test('performs transactions', async () => {
      await client.state.save({ storeName, states: { key: 't1', value: 'old' } });
      const options = { concurrency: 2, consistency: 2 } as const;
      await client.state.executeTransaction({
        storeName,
        operations: [
          { operationType: 'upsert' as never, request: { key: 't2', value: 'new', etag: '', options } },
          { operationType: 'delete' as never, request: { key: 't1', etag: '', options } },
        ],
      });
      expect(text((await client.state.get({ storeName, key: 't2' }))?.value)).toBe('new');
      expect(await client.state.get({ storeName, key: 't1' })).toBeNull();
    });

    test('a store that is not there is an error of its kind', async () => {
      await expect(client.state.get({ storeName: 'nope', key: 'a' })).rejects.toMatchObject({
        code: 3,
        details: 'state store nope is not found',
      });
    });
  });

  describe.each(DAPR_DOORS)('@dapr/dapr over %s', (_, protocol, communicationProtocol, portOf) => {
    let client: DaprClient;
    const key = (name: string): string => `${protocol}-${name}`;

    beforeAll(async () => {
      client = await startDaprClient(portOf(runtime), communicationProtocol);
    });

    afterAll(() => client?.stop());

    test('is healthy and reads metadata', async () => {
      expect(await client.health.isHealthy()).toBe(true);
      expect(await client.metadata.set(key('colour'), 'green')).toBe(true);
      const metadata = (await client.metadata.get()) as unknown as Record<string, unknown>;
      expect(metadata).toMatchObject({ id: 'shop', extended: { [key('colour')]: 'green' } });
      expect(JSON.stringify(metadata)).toContain(VERSION);
      expect(JSON.stringify(metadata)).toContain('"statestore"');
    });

    test('saves, reads and deletes', async () => {
      expect(await client.state.get('statestore', key('a'))).toBe('');
      await client.state.save('statestore', [{ key: key('a'), value: { name: 'Ada', age: 36 } }]);
      expect(await client.state.get('statestore', key('a'))).toEqual({ name: 'Ada', age: 36 });
      await client.state.delete('statestore', key('a'));
      expect(await client.state.get('statestore', key('a'))).toBe('');
    });

    test('reads many', async () => {
      await client.state.save('statestore', [
        { key: key('m1'), value: 'one' },
        { key: key('m2'), value: [2] },
      ]);
      const read = await client.state.getBulk('statestore', [key('m1'), key('none'), key('m2')]);
      const data = Object.fromEntries(
        (read as unknown as { key: string; data?: unknown }[]).map((item) => [item.key, item.data]),
      );
      expect(data[key('m1')]).toBe('one');
      expect(data[key('m2')]).toEqual([2]);
      expect(data[key('none')] ?? '').toBe('');
    });

    test('keeps ETags', async () => {
      await client.state.save('statestore', [{ key: key('e'), value: 1 }]);
      const ok = await client.state.save('statestore', [{ key: key('e'), value: 2, etag: '1' }]);
      expect(ok.error).toBeUndefined();
      const stale = [{ key: key('e'), value: 3, etag: '1' }];
      await expect(orThrow(client.state.save('statestore', stale))).rejects.toThrow(/etag mismatch|Conflict/);
      expect(await client.state.get('statestore', key('e'))).toBe(2);
      await expect(orThrow(client.state.delete('statestore', key('e'), { etag: '1' }))).rejects.toThrow(
        /etag mismatch|Conflict/,
      );
      expect((await client.state.delete('statestore', key('e'), { etag: '2' })).error).toBeUndefined();
    });

    test('performs transactions', async () => {
      await client.state.save('statestore', [{ key: key('t1'), value: 'old' }]);
      await client.state.transaction('statestore', [
        { operation: 'upsert', request: { key: key('t2'), value: 'new' } },
        { operation: 'delete', request: { key: key('t1') } },
      ]);
      expect(await client.state.get('statestore', key('t2'))).toBe('new');
      expect(await client.state.get('statestore', key('t1'))).toBe('');
    });

    test('a store that is not there is an error', async () => {
      await expect(client.state.get('nope', 'a')).rejects.toThrow(/nope is not found/);
    });
  });
});
