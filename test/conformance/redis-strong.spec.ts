import { Redis } from 'ioredis';

import { Code } from '../../components-bridge/src/primitives/errors.js';
import { startStore } from '../support/store-servers.js';
import type { StoreServer } from '../support/store-servers.js';
import { eventually, sleep } from '../support/wait.js';
import { etag, item, refused, StateClient, STRONG } from './state-client.js';

/** Long enough on a busy machine, and far from the longest wait of a call that hangs. */
const AT_ONCE_MS = 1_000;

/** What a write with STRONG consistency waits for, and what it costs where there is nothing to wait for. */
describe('STRONG consistency of state.redis', () => {
  let primary: StoreServer;
  let admin: Redis;
  let replicas: StoreServer[];
  const open: { close(): Promise<void> }[] = [];

  beforeEach(async () => {
    primary = await startStore('valkey', ['--repl-diskless-sync', 'yes', '--repl-diskless-sync-delay', '0']);
    admin = new Redis(primary.port, '127.0.0.1', { protocol: 2 });
    replicas = [];
  });

  afterEach(async () => {
    for (const one of open.splice(0)) await one.close();
    admin.disconnect();
    for (const server of [...replicas, primary]) {
      server.process.signal('SIGCONT');
      await server.stop();
    }
  });

  async function client(metadata: Record<string, string> = {}): Promise<StateClient> {
    const all = { redisHost: `127.0.0.1:${primary.port}`, ...metadata };
    const state = await StateClient.open({ type: 'state.redis', metadata: all });
    open.push(state);
    return state;
  }

  async function addReplica(confirming?: number): Promise<StoreServer> {
    const replica = await startStore('valkey', ['--replicaof', '127.0.0.1', String(primary.port)]);
    replicas.push(replica);
    await untilReplicas(replicas.length, confirming ?? replicas.length);
    return replica;
  }

  /** Until the primary has so many replicas, and so many confirm what it writes. */
  async function untilReplicas(count: number, confirming = count): Promise<void> {
    await eventually(`${count} replicas`, async () => {
      const online = (await admin.info('replication')).match(/state=online/g) ?? [];
      await admin.set('of the test', 'x');
      return online.length === count && (await admin.wait(confirming, 50)) >= confirming;
    });
  }

  /** How often the primary was sent a command. */
  async function calls(command: string): Promise<number> {
    const stats = await admin.info('commandstats');
    return Number(new RegExp(`cmdstat_${command}:calls=(\\d+)`, 'i').exec(stats)?.[1] ?? 0);
  }

  async function clients(): Promise<number> {
    return Number(/connected_clients:(\d+)/.exec(await admin.info('clients'))?.[1]);
  }

  const strong = (key: string, value: string, more = {}): ReturnType<typeof item> =>
    item(key, value, { ...STRONG, ...more });

  it('costs nothing without replicas: no WAIT, no second connection, no question more often than each second', async () => {
    const state = await client();
    const connections = await clients();
    const infos = await calls('info');
    const started = performance.now();
    for (let count = 0; count < 200; count++) await state.save(strong('k', String(count)));
    const seconds = (performance.now() - started) / 1000;
    await state.transact({ upsert: strong('k', 'x') });
    await state.delete('k', undefined, STRONG);
    expect(await calls('wait')).toBe(0);
    expect(await clients()).toBe(connections);
    // Those of this test are among them.
    expect((await calls('info')) - infos).toBeLessThanOrEqual(4 + Math.ceil(seconds));
  });

  it('waits until every replica has the write', async () => {
    const [first, second] = [await addReplica(), await addReplica()];
    const state = await client();
    const copies = [first, second].map(({ port }) => new Redis(port, '127.0.0.1', { protocol: 2 }));
    const there = (): Promise<(string | null)[]> =>
      Promise.all(copies.map((copy) => copy.hget('app||k', 'data')));
    try {
      for (let count = 0; count < 20; count++) {
        await state.save(strong('k', String(count)));
        expect(await there()).toEqual([String(count), String(count)]);
      }
      await state.transact({ upsert: strong('k', 'in a transaction') }, { upsert: item('other', 'x') });
      expect(await there()).toEqual(['in a transaction', 'in a transaction']);
      await state.save(item('k', 'new'), strong('other', 'y'));
      expect(await there()).toEqual(['new', 'new']);
      await state.delete('k', '22', STRONG);
      expect(await there()).toEqual([null, null]);
      await state.save(strong('k', 'again'));
      await state.deleteBulk({ key: 'k', ...STRONG });
      expect(await there()).toEqual([null, null]);
    } finally {
      for (const copy of copies) copy.disconnect();
    }
  });

  it('lets many writes share a WAIT', async () => {
    await addReplica();
    const state = await client();
    await state.save(strong('k', 'first'));
    const before = await calls('wait');
    await Promise.all(Array.from({ length: 200 }, (_, index) => state.save(strong(`k${index}`, 'x'))));
    expect((await calls('wait')) - before).toBeLessThanOrEqual(10);
    expect((await calls('wait')) - before).toBeGreaterThanOrEqual(1);
  });

  it('keeps the order of items of one call', async () => {
    await addReplica();
    const state = await client();
    await state.save(item('k', 'first'), strong('k', 'second'), item('k', 'third'));
    expect(await state.get('k')).toEqual({ data: 'third', etag: '3' });
  });

  it('fails, and says that the write was done, while a replica hangs; nothing else waits', async () => {
    const replica = await addReplica();
    const state = await client({ strongTimeout: '300ms' });
    await state.save(strong('k', 'old'));
    await replica.process.freeze();
    const started = performance.now();
    const writes = ['a', 'b', 'k'].map((key) => refused(state.save(strong(key, 'new'))));
    await sleep(50);
    const late = refused(state.save(strong('late', 'new')));
    // Others go on at once, on the connection that does not wait.
    expect((await state.get('k')).data).toBe('new');
    await state.save(item('plain', 'x'));
    expect(performance.now() - started).toBeLessThan(290);
    for (const { code, message } of [...(await Promise.all(writes)), await late]) {
      expect(code).toBe(Code.UNAVAILABLE);
      expect(message).toMatch(
        /^state store store: 127\.0\.0\.1:\d+: the write was done on the primary, but 0 of 1 replicas confirmed it within 300 ms$/,
      );
    }
    expect(performance.now() - started).toBeLessThan(600 + AT_ONCE_MS);
    expect(state.health.status).toBe('ready');
    // What was refused for itself says so, and not that it was done.
    expect((await refused(state.save(strong('k', 'x', etag('99'))))).code).toBe(Code.ABORTED);
    replica.process.signal('SIGCONT');
    await eventually('a write is confirmed again', () =>
      state.save(strong('k', 'newer')).then(
        () => true,
        () => false,
      ),
    );
  });

  it('does not wait for a replica that has left', async () => {
    const [first] = [await addReplica(), await addReplica()];
    const state = await client({ strongTimeout: '5s' });
    await state.save(strong('k', '1'));
    const started = performance.now();
    await first.stop();
    replicas.shift();
    await untilReplicas(1);
    await state.save(strong('k', '2'));
    await replicas[0]?.stop();
    replicas.shift();
    await untilReplicas(0);
    await state.save(strong('k', '3'));
    expect(performance.now() - started).toBeLessThan(4_500);
    expect(await state.get('k')).toEqual({ data: '3', etag: '3' });
  });

  it('finds a replica that came later', async () => {
    const state = await client({ strongTimeout: '1s' });
    await state.save(strong('k', '0'));
    expect(await calls('wait')).toBe(0);
    const replica = await addReplica();
    // What it knows of replicas may be a second old.
    await sleep(1_100);
    await replica.process.freeze();
    const { message } = await refused(state.save(strong('k', '1')));
    expect(message).toContain('0 of 1 replicas confirmed it');
    // That one waited where everything else goes; the next has a connection of its own.
    const next = refused(state.save(strong('k', '2')));
    let done = false;
    void next.then(() => (done = true));
    await eventually('the write is seen before it is confirmed', async () => {
      return (await state.get('k')).data === '2' && !done;
    });
    expect((await next).message).toContain('0 of 1 replicas confirmed it');
  });

  it('waits for as many as are configured', async () => {
    const replica = await addReplica();
    const none = await client({ strongReplicas: '0' });
    const one = await client({ strongReplicas: '1', strongTimeout: '5s' });
    const two = await client({ strongReplicas: '2', strongTimeout: '100ms' });
    await one.save(strong('k', '1'));
    expect((await refused(two.save(strong('k', '2')))).message).toContain('1 of 2 replicas confirmed it');
    await replica.process.freeze();
    const started = performance.now();
    await none.save(strong('k', '3'));
    expect(performance.now() - started).toBeLessThan(AT_ONCE_MS);
    await addReplica(1);
    await one.save(strong('k', '4'));
    expect(await one.get('k')).toEqual({ data: '4', etag: '4' });
  });

  it('says so when it may not know the replicas', async () => {
    const user = ['--user', 'worker', 'on', '>secret', '~*', '+@all', '-info'];
    const guarded = await startStore('valkey', user);
    open.push({ close: () => guarded.stop() });
    const state = await client({
      redisHost: `127.0.0.1:${guarded.port}`,
      redisUsername: 'worker',
      redisPassword: 'secret',
    });
    const { code, message } = await refused(state.save(strong('k', 'x')));
    expect(code).toBe(Code.UNAVAILABLE);
    expect(message).toMatch(/the write was done, but .*NOPERM.*; allow INFO, or set strongReplicas$/);
    await state.save(item('k', 'y'));
    expect((await state.get('k')).etag).toBe('2');
  });
});
