import type { DaprClient } from '@dapr/dapr';
import { Client as LayottoClient } from 'layotto';
import { DAPR_DOORS, startDaprClient } from '../support/dapr-client.js';
import { GRPC_SERVERS, Runtime } from '../support/runtime.js';

/** The published clients, unmodified, on locks and ids. */
describe('published clients', () => {
  let runtime: Runtime;

  beforeAll(async () => {
    runtime = await Runtime.start({
      listen: true,
      components: [
        { name: 'lockstore', type: 'lock.embedded' },
        { name: 'sequencer', type: 'sequencer.embedded' },
        { name: 'runs', type: 'sequencer.embedded', metadata: { segmentCacheEnable: 'true' } },
      ],
    });
  });

  afterAll(() => runtime?.stop());

  describe.each(GRPC_SERVERS)('layotto over gRPC, by %s', (by, portOf) => {
    let client: LayottoClient;

    beforeAll(() => {
      client = new LayottoClient(String(portOf(runtime)), '127.0.0.1');
    });

    // The client has no call that ends its connection.
    afterAll(() => (client as unknown as { _runtime: { close(): void } })._runtime.close());

    test('takes a lock and gives it back', async () => {
      const claim = { storeName: 'lockstore', resourceId: 'layotto' };
      const [one, two] = [client.lock.uuid(), client.lock.uuid()];
      expect(await client.lock.tryLock({ ...claim, lockOwner: one, expire: 20 })).toBe(true);
      expect(await client.lock.tryLock({ ...claim, lockOwner: two, expire: 20 })).toBe(false);
      expect(await client.lock.unLock({ ...claim, lockOwner: two })).toEqual({ status: 2 });
      expect(await client.lock.unLock({ ...claim, lockOwner: one })).toEqual({ status: 0 });
      expect(await client.lock.unLock({ ...claim, lockOwner: one })).toEqual({ status: 1 });
    });

    test('is told what is wrong with a lock', async () => {
      const claim = { storeName: 'nope', resourceId: 'r', lockOwner: 'me' };
      await expect(client.lock.tryLock({ ...claim, expire: 20 })).rejects.toMatchObject({
        code: 3,
        details: 'lock store nope not found',
      });
      await expect(
        client.lock.tryLock({ ...claim, storeName: 'lockstore', expire: 0 }),
      ).rejects.toMatchObject({ code: 3, details: 'Expire is not positive in lock store lockstore' });
    });

    test.each(['sequencer', 'runs'])('counts: %s', async (storeName) => {
      const next = (increment?: 0 | 1) =>
        client.sequencer.getNextId({
          storeName,
          key: `orders, by ${by}`,
          ...(increment === undefined ? {} : { options: { increment } }),
        });
      const ids = [await next(), await next(0), await next(1), await next(), await next(1)].map(Number);
      expect(new Set(ids).size).toBe(5);
      expect(ids[0]).toBe(1);
      expect(ids[4]).toBeGreaterThan(ids[2] ?? Infinity);
      if (storeName === 'sequencer') expect(ids).toEqual([1, 2, 3, 4, 5]);
    });

    test('is told what is wrong with an id', async () => {
      await expect(client.sequencer.getNextId({ storeName: 'nope', key: 'k' })).rejects.toMatchObject({
        code: 3,
        details: 'Sequencer store nope not found',
      });
      await expect(client.sequencer.getNextId({ storeName: 'runs', key: '' })).rejects.toMatchObject({
        code: 3,
        details: 'Key is empty in sequencer store runs',
      });
    });
  });

  describe.each(DAPR_DOORS)('@dapr/dapr over %s', (_, protocol, communicationProtocol, portOf) => {
    let client: DaprClient;

    beforeAll(async () => {
      client = await startDaprClient(portOf(runtime), communicationProtocol);
    });

    afterAll(() => client?.stop());

    test('takes a lock and gives it back', async () => {
      const lock = (owner: string) => client.lock.lock('lockstore', protocol, owner, 20);
      const unlock = (owner: string) => client.lock.unlock('lockstore', protocol, owner);
      expect(await lock('one')).toEqual({ success: true });
      expect(await lock('two')).toEqual({ success: false });
      expect(await unlock('two')).toEqual({ status: 2 });
      expect(await unlock('one')).toEqual({ status: 0 });
      expect(await unlock('one')).toEqual({ status: 1 });
    });

    test('is told what is wrong', async () => {
      await expect(client.lock.lock('nope', 'r', 'me', 20)).rejects.toThrow(/lock store nope not found/);
      await expect(client.lock.lock('lockstore', 'r', 'me', 0)).rejects.toThrow(
        /ExpiryInSeconds is not positive in lock store lockstore/,
      );
      await expect(client.lock.unlock('lockstore', '', 'me')).rejects.toThrow(
        /ResourceId is empty in lock store lockstore/,
      );
    });
  });
});
