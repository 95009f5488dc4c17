import { Redis } from 'ioredis';

import { Code } from '../../components-bridge/src/primitives/errors.js';
import { startStore } from '../support/store-servers.js';
import type { StoreServer } from '../support/store-servers.js';
import { eventually } from '../support/wait.js';
import { etag, FIRST_WRITE, item, refused, StateClient } from './state-client.js';
import type { ClientOptions } from './state-client.js';
import { TcpProxy } from './tcp-proxy.js';

/** What is Redis's own: stored form, keys, access, and what happens when the connection is lost. */
describe.each(['redis', 'valkey'] as const)('state.redis on %s', (kind) => {
  let server: StoreServer;
  /** A plain client, to look at what is stored and to store what others would. */
  let raw: Redis;
  const open: { close(): Promise<void> }[] = [];

  beforeAll(async () => {
    server = await startStore(kind);
    raw = new Redis(server.port, '127.0.0.1', { protocol: 2 });
  });

  afterEach(async () => {
    await Promise.all(open.splice(0).map((client) => client.close()));
    await raw.flushall();
  });

  afterAll(async () => {
    raw?.disconnect();
    await server?.stop();
  });

  async function client(more: Partial<ClientOptions> = {}, port = server.port): Promise<StateClient> {
    const metadata = { redisHost: `127.0.0.1:${port}`, ...more.metadata };
    const opened = await StateClient.open({ type: 'state.redis', ...more, metadata });
    open.push(opened);
    return opened;
  }

  describe('stored form', () => {
    it("is Dapr's and Layotto's: a hash of data and version", async () => {
      const state = await client();
      await state.save(item('a', 'one'), item('a', 'two'));
      expect(await raw.hgetall('app||a')).toEqual({ data: 'two', version: '2' });
      await state.transact({ upsert: item('b', 'x', FIRST_WRITE) });
      expect(await raw.hgetall('app||b')).toEqual({ data: 'x', version: '1' });
    });

    it('sets the expiry that Redis knows', async () => {
      const state = await client();
      await state.save(item('a', 'x', { metadata: { ttlInSeconds: '100' } }), item('b', 'x'));
      await state.transact({ upsert: item('c', 'x', { metadata: { ttlInSeconds: '100' } }) });
      const [a, b, c] = [await raw.ttl('app||a'), await raw.ttl('app||b'), await raw.ttl('app||c')];
      expect(a).toBeGreaterThan(90);
      expect(b).toBe(-1);
      expect(c).toBeGreaterThan(90);
    });

    it('uses the expiry of the configuration for values that give none', async () => {
      const state = await client({ metadata: { ttlInSeconds: '50' } });
      await state.save(item('a', 'x'), item('b', 'x', { metadata: { ttlInSeconds: '-1' } }));
      expect(await raw.ttl('app||a')).toBeGreaterThan(40);
      expect(await raw.ttl('app||b')).toBe(-1);
    });

    it('reads and rewrites what Dapr or Layotto wrote with first-write', async () => {
      await raw.hset('app||a', { data: 'theirs', version: '4', 'first-write': '0' });
      const state = await client();
      expect(await state.get('a')).toEqual({ data: 'theirs', etag: '4' });
      expect((await refused(state.save(item('a', 'x', FIRST_WRITE)))).code).toBe(Code.INTERNAL);
      await state.save(item('a', 'ours'));
      expect(await state.get('a')).toEqual({ data: 'ours', etag: '5' });
      await state.transact({ upsert: item('a', 'again', etag('5')) });
      expect(await state.get('a')).toEqual({ data: 'again', etag: '6' });
    });

    it('reads plain strings, and makes state of them when they are saved', async () => {
      await raw.set('app||a', 'plain');
      await raw.set('app||b', 'plain');
      const state = await client();
      expect(await state.get('a')).toEqual({ data: 'plain', etag: '' });
      expect((await state.bulk(['a', 'none']))[0]?.data).toEqual(new Uint8Array(Buffer.from('plain')));
      expect((await refused(state.save(item('a', 'x', etag('1'))))).code).toBe(Code.ABORTED);
      expect((await refused(state.save(item('a', 'x', FIRST_WRITE)))).code).toBe(Code.INTERNAL);
      expect((await refused(state.transact({ upsert: item('a', 'x', etag('1')) }))).code).toBe(Code.ABORTED);
      await state.save(item('a', 'state'));
      expect(await state.get('a')).toEqual({ data: 'state', etag: '1' });
      await state.transact({ upsert: item('b', 'state') }, { upsert: item('b', 'state 2', etag('1')) });
      expect(await state.get('b')).toEqual({ data: 'state 2', etag: '2' });
    });

    it('leaves keys of other types alone', async () => {
      await raw.rpush('app||list', 'x');
      const state = await client();
      for (const attempt of [
        () => state.get('list'),
        () => state.save(item('list', 'x')),
        () => state.transact({ upsert: item('ok', 'x') }, { upsert: item('list', 'x') }),
        () => state.delete('list', '1'),
      ]) {
        expect((await refused(attempt())).code).toBe(Code.INTERNAL);
      }
      expect(await raw.lrange('app||list', 0, -1)).toEqual(['x']);
      expect(await raw.exists('app||ok')).toBe(0);
    });

    it('works again after the scripts were flushed', async () => {
      const state = await client();
      await state.save(item('a', '1'));
      await raw.script('FLUSH');
      await state.save(item('a', '2'), item('b', '2'));
      await state.transact({ upsert: item('a', '3', etag('2')) });
      expect(await state.get('a')).toEqual({ data: '3', etag: '3' });
    });
  });

  it.each<[string, Partial<ClientOptions>, string]>([
    ['the app id by default', {}, 'app||k'],
    ['none by default in the Layotto form', { form: 'layotto' }, 'k'],
    ['the app id by default in the Dapr form', { form: 'dapr' }, 'app||k'],
    ['appid', { form: 'layotto', metadata: { keyPrefix: 'appid' } }, 'app||k'],
    ['APPID', { metadata: { keyPrefix: 'APPID' } }, 'app||k'],
    ['name', { metadata: { keyPrefix: 'name' } }, 'store||k'],
    ['none', { metadata: { keyPrefix: 'none' } }, 'k'],
    ['namespace', { namespace: 'prod', metadata: { keyPrefix: 'namespace' } }, 'prod.app||k'],
    ['namespace, without one', { metadata: { keyPrefix: 'namespace' } }, 'app||k'],
    ['a text', { metadata: { keyPrefix: 'Mine' } }, 'Mine||k'],
    ['appid, without an app id', { appId: '' }, 'k'],
  ])('puts the prefix before keys: %s', async (_, options, stored) => {
    const state = await client(options);
    await state.save(item('k', 'v'));
    expect(await raw.keys('*')).toEqual([stored]);
    expect((await state.bulk(['k']))[0]?.key).toBe('k');
    await state.delete('k');
    expect(await raw.keys('*')).toEqual([]);
  });

  describe('access', () => {
    it.each(['redisDB', 'db'])('uses the database of %s', async (key) => {
      const state = await client({ metadata: { [key]: '3' } });
      await state.save(item('k', 'v'));
      expect(await raw.keys('*')).toEqual([]);
      await raw.select(3);
      expect(await raw.keys('*')).toEqual(['app||k']);
      await raw.flushdb();
      await raw.select(0);
    });

    it('presents user and password, and says so when they are refused', async () => {
      const guarded = await startStore(kind, [
        ...['--requirepass', 'for default'],
        ...['--user', 'worker', 'on', '>secret', '~*', '+@all'],
      ]);
      open.push({ close: () => guarded.stop() });
      const withDefault: Record<string, string> = { redisPassword: 'for default' };
      const withUser = { redisUsername: 'worker', redisPassword: 'secret' };
      for (const metadata of [withDefault, withUser]) {
        const state = await client({ metadata }, guarded.port);
        await state.save(item('k', 'v'));
        await state.delete('k');
      }
      for (const metadata of [{}, { redisUsername: 'worker', redisPassword: 'wrong' }]) {
        const state = await client(
          { metadata: metadata as Record<string, string>, wait: false },
          guarded.port,
        );
        await untilReason(state, /WRONGPASS|NOAUTH/);
        const { code, message } = await refused(state.get('k'));
        expect(code).toBe(Code.UNAVAILABLE);
        expect(message).toMatch(/^state store store is not ready: 127\.0\.0\.1:\d+: (WRONGPASS|NOAUTH)/);
        expect(message).not.toContain('wrong ');
      }
    });
  });

  describe('connection', () => {
    async function proxied(
      metadata: Record<string, string> = {},
    ): Promise<{ state: StateClient; proxy: TcpProxy }> {
      const proxy = await TcpProxy.start(server.port);
      open.push({ close: () => proxy.stop() });
      return { proxy, state: await client({ metadata }, proxy.port) };
    }

    it('may come later than the bridge: calls fail at once until then', async () => {
      const proxy = await TcpProxy.start(0);
      open.push({ close: () => proxy.stop() });
      const state = await client({ wait: false }, proxy.port);
      for (const attempt of [
        () => state.get('a'),
        () => state.bulk(['a']),
        () => state.save(item('a', 'x')),
        () => state.delete('a'),
        () => state.transact({ upsert: item('a', 'x') }),
      ]) {
        const started = performance.now();
        const { code, message } = await refused(attempt());
        expect(code).toBe(Code.UNAVAILABLE);
        expect(message).toMatch(/^state store store is not ready: /);
        expect(performance.now() - started).toBeLessThan(1_000);
      }
      expect(state.health.status).toBe('connecting');
      proxy.pointAt(server.port);
      await state.until('ready');
      await state.save(item('a', 'x'));
      expect((await state.get('a')).data).toBe('x');
    });

    it('comes back by itself after the server was gone', async () => {
      const { state, proxy } = await proxied();
      await state.save(item('a', 'x'));
      proxy.pointAt(0);
      proxy.cut();
      await state.until('down');
      const { code, message } = await refused(state.get('a'));
      expect(code).toBe(Code.UNAVAILABLE);
      expect(message).toContain(`state store store is not ready: 127.0.0.1:${proxy.port}: `);
      const second = await startStore(kind);
      open.push({ close: () => second.stop() });
      proxy.pointAt(second.port);
      await state.until('ready');
      await state.save(item('a', 'y'), item('a', 'z'));
      expect(await state.get('a')).toEqual({ data: 'z', etag: '2' });
      expect(
        state.changes.map(({ status }) => status).filter((status, index, all) => status !== all[index - 1]),
      ).toEqual(['ready', 'down', 'ready']);
    });

    it('fails what was in flight when it is lost', async () => {
      const { state, proxy } = await proxied();
      proxy.hold();
      const calls = [
        state.get('a'),
        state.save(item('a', 'x')),
        state.transact({ upsert: item('b', 'x') }),
      ].map(refused);
      await new Promise(setImmediate);
      proxy.cut();
      for (const { code } of await Promise.all(calls)) expect(code).toBe(Code.UNAVAILABLE);
    });

    it('counts as lost when an answer takes longer than readTimeout', async () => {
      const { state, proxy } = await proxied({ readTimeout: '200ms' });
      proxy.hold();
      const { code, message } = await refused(state.get('a'));
      expect(code).toBe(Code.UNAVAILABLE);
      expect(message).toMatch(/200 ?ms/);
      proxy.release();
      await state.until('ready');
      expect((await state.get('a')).etag).toBe('');
    });
  });

  async function untilReason(state: StateClient, wanted: RegExp): Promise<void> {
    await eventually('the reason is known', () => wanted.test(state.health.reason ?? ''));
  }
});
