import { Redis } from 'ioredis';

import * as pb from '../../components-bridge/src/gen/layotto/bridge/v1/configuration_pb.js';
import { TcpProxy } from '../conformance/tcp-proxy.js';
import { readLayotto, saveLayotto } from '../support/configuration-calls.js';
import { subscribeDapr, subscribeLayotto } from '../support/configuration-streams.js';
import type { RawClient } from '../support/grpc-raw.js';
import { Runtime } from '../support/runtime.js';
import { startStore, type StoreServer } from '../support/store-servers.js';
import { eventually } from '../support/wait.js';

const DAPR = '/dapr.proto.runtime.v1.Dapr';

/** What was pushed last of each key: its content, or undefined if it was deleted. */
function latest(received: readonly pb.SubscribeConfigurationResponse[]): Record<string, string | undefined> {
  const items = received.flatMap((response) => response.items);
  return Object.fromEntries(items.map(({ key, content }) => [key, content === '' ? undefined : content]));
}

describe('configuration subscriptions through a real Envoy', () => {
  let server: StoreServer;
  let proxy: TcpProxy;
  let runtime: Runtime;
  let outside: Redis;
  let client: RawClient;
  const open: { close(): void }[] = [];

  beforeAll(async () => {
    server = await startStore('redis');
    proxy = await TcpProxy.start(server.port);
    const metadata = { redisHost: `127.0.0.1:${proxy.port}` };
    runtime = await Runtime.start({
      components: [
        { name: 'configs', type: 'configuration.redis', metadata },
        { name: 'embedded', type: 'configuration.embedded' },
      ],
    });
    outside = new Redis(server.port, '127.0.0.1');
    client = await runtime.connect();
  });

  afterEach(() => {
    for (const stream of open.splice(0)) stream.close();
  });

  afterAll(async () => {
    outside?.disconnect();
    await runtime?.stop();
    await proxy?.stop();
    await server?.stop();
  });

  function keep<Stream extends { close(): void }>(stream: Stream): Stream {
    open.push(stream);
    return stream;
  }

  const layotto = (
    ...requests: Parameters<typeof subscribeLayotto> extends [number, ...infer R] ? R : never
  ) => keep(subscribeLayotto(runtime.port, ...requests));

  /** How many streams the bridge has open. */
  const streams = async (): Promise<number> => {
    const stats = await runtime.stats(/layotto_streams_open/);
    return Object.values(stats).reduce((sum, value) => sum + value, 0);
  };

  /** Writes a key until the stream has heard of it: then it hears of everything. */
  async function heard(stream: { received: unknown[] }, key: string): Promise<void> {
    let n = 0;
    await eventually('the subscription is there', async () => {
      await outside.set(key, `probe||${++n}`);
      return stream.received.length > 0;
    });
  }

  test('one stream carries many subscriptions, of several stores, each push names its own', async () => {
    const stream = layotto(
      ...Array.from({ length: 200 }, (_, i) => ({
        storeName: 'configs',
        appId: `app${i}`,
        keys: [`many${i}`],
      })),
      { storeName: 'embedded', appId: 'x', keys: ['e'], group: 'g', label: 'l' },
    );
    await heard(stream, 'many199');
    await Promise.all(Array.from({ length: 200 }, (_, i) => outside.set(`many${i}`, `v${i}||x`)));
    await saveLayotto(client, {
      storeName: 'embedded',
      items: [{ key: 'e', content: 'x', group: 'g', label: 'l', tags: { t: '1' } }],
    });
    await eventually(
      'all are told',
      () => Object.values(latest(stream.received)).filter((v) => v !== 'probe').length === 201,
    );
    for (let i = 0; i < 200; i++) expect(latest(stream.received)[`many${i}`]).toBe(`v${i}`);
    for (const { storeName, appId, items } of stream.received) {
      for (const { key } of items) {
        expect([storeName, appId]).toEqual(
          key === 'e' ? ['embedded', 'x'] : ['configs', key.replace('many', 'app')],
        );
      }
    }
    const item = stream.received.flatMap(({ items }) => items).find(({ key }) => key === 'e');
    expect(item).toMatchObject({ group: 'g', label: 'l', tags: { t: '1' } });
  });

  test('only changes are pushed, deleted items without content, and more can be subscribed to later', async () => {
    await outside.mset('d1', 'x||1', 'd2', 'y||1', 'd3', 'z||1');
    const stream = layotto({ storeName: 'configs', keys: ['d1', 'd2', 'probe1'] });
    await heard(stream, 'probe1');
    expect(Object.keys(latest(stream.received))).toEqual(['probe1']);
    await outside.del('d1');
    await eventually('the deletion is told', () => 'd1' in latest(stream.received));
    const deleted = stream.received.flatMap(({ items }) => items).find(({ key }) => key === 'd1');
    expect(deleted).toMatchObject({ content: '', group: 'default', label: 'default', version: '' });
    stream.send({ storeName: 'configs', keys: ['d3'] });
    // The same once more changes nothing.
    stream.send({ storeName: 'configs', keys: ['d3'] });
    await eventually('the later one is told', async () => {
      await outside.set('d3', `later||${Date.now()}`);
      return latest(stream.received).d3 === 'later';
    });
    expect('d2' in latest(stream.received)).toBe(false);
    // Who sends no more goes on hearing.
    stream.finish();
    await outside.set('d2', 'after||2');
    await eventually('it goes on', () => latest(stream.received).d2 === 'after');
  });

  test('a slow reader is told the latest, not everything', async () => {
    const stream = layotto({ storeName: 'configs', keys: ['slow', 'end'] });
    await heard(stream, 'slow');
    stream.pause();
    const value = 'x'.repeat(100_000);
    for (let i = 0; i < 300; i++) await outside.set('slow', `${i} ${value}||${i}`);
    await outside.set('end', 'end||1');
    stream.resume();
    await eventually('the end is told', () => latest(stream.received).end === 'end');
    await eventually('the latest is told', () => latest(stream.received).slow?.startsWith('299 ') === true);
    expect(stream.received.length).toBeLessThan(300);
  });

  test('after a lost backend, what changed meanwhile is pushed within two seconds', async () => {
    await outside.mset('back1', 'a||1', 'back2', 'b||1', 'probe2', 'x');
    const stream = layotto({ storeName: 'configs', keys: ['back1', 'back2', 'back3', 'probe2'] });
    await heard(stream, 'probe2');
    proxy.pointAt(0);
    proxy.cut();
    await eventually('the loss is known', async () =>
      (await runtime.health()).some(({ name, status }) => name === 'configs' && status !== 'ready'),
    );
    await outside.set('back1', 'changed||2');
    await outside.del('back2');
    await outside.set('back3', 'added||1');
    proxy.pointAt(server.port);
    const restored = performance.now();
    await eventually('all is told', () => Object.keys(latest(stream.received)).length === 4, {
      timeoutMs: 2_000,
      everyMs: 5,
    });
    expect(performance.now() - restored).toBeLessThan(2_000);
    expect(latest(stream.received)).toMatchObject({ back1: 'changed', back2: undefined, back3: 'added' });
  });

  test('a cancelled stream is given up', async () => {
    await eventually('no other stream is open', async () => (await streams()) === 0);
    const stream = layotto({ storeName: 'configs', keys: ['cancelled'] });
    await heard(stream, 'cancelled');
    await eventually('it is counted', async () => (await streams()) === 1);
    stream.close();
    await eventually('it is gone', async () => (await streams()) === 0);
  });

  test('what cannot be subscribed to ends the stream with the reason', async () => {
    const unknown = layotto({ storeName: 'nope', keys: ['a'] });
    await eventually('it ends', () => unknown.ended);
    expect(unknown.ended).toEqual({ code: 3, details: "configure store [nope] don't support now" });
    const keys = Array.from({ length: 1_001 }, (_, i) => `k${i}`);
    const many = layotto({ storeName: 'configs', keys });
    await eventually('it ends', () => many.ended);
    expect(many.ended).toMatchObject({
      code: 3,
      details: expect.stringMatching(/^1001 keys are named, at most 1000/) as string,
    });
    const subscriptions = layotto(
      ...Array.from({ length: 1_001 }, (_, i) => ({ storeName: 'embedded', keys: [`s${i}`] })),
    );
    await eventually('it ends', () => subscriptions.ended);
    expect(subscriptions.ended).toMatchObject({
      code: 8,
      details: expect.stringMatching(/has 1000 subscriptions/) as string,
    });
  });

  test.each(['SubscribeConfiguration', 'SubscribeConfigurationAlpha1'])(
    "Dapr's %s: an id first, then changes, until it is given up by the id",
    async (method) => {
      await outside.set('dapr1', 'a||1');
      const stream = keep(
        subscribeDapr(runtime.port, { storeName: 'configs', keys: ['dapr1', 'dapr2'] }, `${DAPR}/${method}`),
      );
      await eventually('the id comes', () => stream.received.length === 1);
      const id = stream.received[0]?.id ?? '';
      expect(stream.received[0]).toMatchObject({
        id: expect.stringMatching(/^[0-9a-f-]{36}$/) as string,
        items: [],
      });
      await outside.set('dapr2', 'b||7');
      await eventually('the change comes', () => stream.received.length === 2);
      expect(stream.received[1]).toMatchObject({
        id,
        items: [{ key: 'dapr2', value: { value: 'b', version: '7' } }],
      });
      await outside.del('dapr1');
      await eventually('the deletion comes', () => stream.received.length === 3);
      expect(stream.received[2]).toMatchObject({
        id,
        items: [{ key: 'dapr1', value: { value: '', version: '' } }],
      });
      const unsubscribe = async (storeName: string): Promise<unknown> => {
        const { message } = await client.unary(
          `${DAPR}/UnsubscribeConfiguration`,
          pb.UnsubscribeConfigurationRequestSchema,
          { storeName, id },
          pb.UnsubscribeConfigurationResponseSchema,
        );
        return message;
      };
      expect(await unsubscribe('embedded')).toMatchObject({ ok: false });
      expect(await unsubscribe('configs')).toMatchObject({ ok: true, message: '' });
      await eventually('the stream ends well', () => stream.ended?.code === 0);
      expect(await unsubscribe('configs')).toMatchObject({
        ok: false,
        message: expect.stringContaining(id) as string,
      });
      await outside.del('dapr2');
    },
  );

  test('what was saved is there after the bridge was killed; streams end with UNAVAILABLE, and can be had again', async () => {
    await saveLayotto(client, {
      storeName: 'embedded',
      items: [{ key: 'kept', content: 'x', tags: { t: '1' } }],
    });
    const stream = layotto({ storeName: 'embedded', keys: ['kept'] });
    await eventually('it is open', async () => (await streams()) === 1);
    await runtime.killBridge();
    await eventually('the stream ends', () => stream.ended);
    expect(stream.ended).toMatchObject({ code: 14 });
    await runtime.restartBridge();
    await runtime.sessionsOpen();
    await eventually('components are ready', () => runtime.componentsReady());
    // The bridge is ready before the last worker has heard of it.
    const read = await eventually('the worker has been greeted', async () => {
      const outcome = await readLayotto(client, { storeName: 'embedded', keys: ['kept'] });
      return outcome.grpcStatus === 14 ? undefined : outcome;
    });
    expect(read).toMatchObject({ grpcStatus: 0, contents: { kept: 'x' } });
    const again = layotto({ storeName: 'embedded', keys: ['kept'] });
    let n = 0;
    await eventually('the new one hears', async () => {
      await saveLayotto(client, { storeName: 'embedded', items: [{ key: 'kept', content: `${++n}` }] });
      return again.received.length > 0;
    });
  });

  test("Dapr's stream of an unknown store is refused", async () => {
    const stream = keep(subscribeDapr(runtime.port, { storeName: 'nope' }));
    await eventually('it ends', () => stream.ended);
    expect(stream.ended).toEqual({ code: 3, details: 'configuration store nope not found' });
  });
});
