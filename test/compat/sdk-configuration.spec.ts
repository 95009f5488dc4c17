import { CommunicationProtocolEnum, type DaprClient } from '@dapr/dapr';
import { Redis } from 'ioredis';
import { Client as LayottoClient } from 'layotto';
import { startDaprClient } from '../support/dapr-client.js';
import { Runtime } from '../support/runtime.js';
import { startStore, type StoreServer } from '../support/store-servers.js';
import { eventually } from '../support/wait.js';

/** The published clients, unmodified, on configuration; with reads out of Envoy and without. */
describe.each([
  ['from the bridge', {}, ({ port }: Runtime) => port, 'layotto_bridge_streams'],
  ['out of Envoy', { answerInEnvoy: '30s' }, ({ port }: Runtime) => port, 'layotto_bridge_streams'],
  [
    'of the bridge itself',
    { answerInEnvoy: '30s' },
    ({ bridgePort }: Runtime) => bridgePort,
    'layotto_bridge_door_calls',
  ],
])('published clients, reads %s', (_, more, portOf, metric) => {
  let server: StoreServer;
  let runtime: Runtime;
  let outside: Redis;

  beforeAll(async () => {
    server = await startStore('redis');
    runtime = await Runtime.start({
      listen: true,
      components: [
        {
          name: 'configs',
          type: 'configuration.redis',
          metadata: { redisHost: `127.0.0.1:${server.port}`, ...more },
        },
      ],
    });
    outside = new Redis(server.port, '127.0.0.1');
  });

  afterAll(async () => {
    outside?.disconnect();
    await runtime?.stop();
    await server?.stop();
  });

  describe('layotto over gRPC', () => {
    let client: LayottoClient;
    const common = { storeName: 'configs', appId: 'testApplication_yang' };

    beforeAll(() => {
      client = new LayottoClient(String(portOf(runtime)), '127.0.0.1');
    });

    // The client has no call that ends its connection.
    afterAll(() => (client as unknown as { _runtime: { close(): void } })._runtime.close());

    test('saves, gets and deletes', async () => {
      const { configuration } = client;
      await configuration.save({
        ...common,
        items: [
          { key: 'k1', content: 'one' },
          { key: 'k2', content: 'two', group: 'application', label: 'prod' },
        ],
      });
      const [k1] = await configuration.get({ ...common, keys: ['k1', 'absent'] });
      expect(k1).toMatchObject({ key: 'k1', content: 'one', group: 'default', label: 'default' });
      const place = { group: 'application', label: 'prod' };
      const items = await configuration.get({ ...common, ...place, keys: [] });
      expect(items).toHaveLength(1);
      expect(items[0]).toMatchObject({ key: 'k2', content: 'two', ...place });
      await configuration.delete({ ...common, ...place, keys: ['k2'] });
      expect(await configuration.get({ ...common, ...place, keys: ['k2'] })).toEqual([]);
      expect(await configuration.get({ ...common, keys: ['k1'] })).toHaveLength(1);
      await expect(configuration.get({ ...common, storeName: 'nope', keys: ['k1'] })).rejects.toMatchObject({
        details: "configure store [nope] don't support now",
      });
    });

    test('subscribes', async () => {
      const received: { key: string; content: string }[] = [];
      let closed = 0;
      const call = client.configuration.subscribe({
        ...common,
        keys: ['s1', 's2'],
        onData: (items) => void received.push(...items),
        onClose: () => void closed++,
      });
      let n = 0;
      await eventually('it hears', async () => {
        await outside.set('s1', `probe||${++n}`);
        return received.length > 0;
      });
      await client.configuration.save({ ...common, items: [{ key: 's2', content: 'saved' }] });
      await eventually('the change comes', () =>
        received.some(({ key, content }) => key === 's2' && content === 'saved'),
      );
      await client.configuration.delete({ ...common, keys: ['s2'] });
      await eventually('the deletion comes', () =>
        received.some(({ key, content }) => key === 's2' && content === ''),
      );
      call.cancel();
      await eventually('it is closed', () => closed === 1);
    });
  });

  describe('@dapr/dapr over gRPC', () => {
    let client: DaprClient;

    beforeAll(async () => {
      client = await startDaprClient(portOf(runtime), CommunicationProtocolEnum.GRPC);
    });

    afterAll(() => client?.stop());

    test('gets', async () => {
      await outside.mset('d1', 'one||1', 'd2', 'two||2', 'd3', 'bare');
      const { items } = await client.configuration.get('configs', ['d1', 'd2', 'd3', 'absent']);
      expect(items).toMatchObject({
        d1: { key: 'd1', value: 'one', version: '1' },
        d2: { key: 'd2', value: 'two', version: '2' },
        d3: { key: 'd3', value: 'bare', version: '' },
      });
      expect(Object.keys(items)).toHaveLength(3);
      const all = await client.configuration.get('configs', []);
      expect(all.items).toMatchObject({ d1: { value: 'one' }, d3: { value: 'bare' } });
      await expect(client.configuration.get('nope', ['d1'])).rejects.toThrow(
        /configuration store nope not found/,
      );
    });

    test.each([
      ['all keys', (cb: Callback) => client.configuration.subscribe('configs', cb)],
      ['some keys', (cb: Callback) => client.configuration.subscribeWithKeys('configs', ['w1', 'w2'], cb)],
      [
        'some keys with metadata',
        (cb: Callback) => client.configuration.subscribeWithMetadata('configs', ['w1', 'w2'], { a: 'b' }, cb),
      ],
    ])('subscribes to %s', async (what, subscribe) => {
      const received: Record<string, { value: string; version: string }>[] = [];
      const stream = await subscribe(async ({ items }) => void received.push(items));
      let n = 0;
      await eventually('it hears', async () => {
        await outside.set('w1', `probe||${++n}`);
        return received.length > 0;
      });
      await outside.set('w2', `${what}||9`);
      await eventually('the change comes', () =>
        received.some(({ w2 }) => w2?.value === what && w2.version === '9'),
      );
      stream.stop();
      await eventually('the stream is gone', async () => {
        return (await runtime.bridgeMetric(metric)) === 0;
      });
    });
  });
});

type Callback = Parameters<DaprClient['configuration']['subscribe']>[1];
