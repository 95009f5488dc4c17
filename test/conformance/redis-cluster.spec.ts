import { Redis } from 'ioredis';

import { slotOf } from '../../components-bridge/src/components/redis/slots.js';
import { Code } from '../../components-bridge/src/primitives/errors.js';
import { ClusterServers } from '../support/cluster-servers.js';
import type { ClusterNode } from '../support/cluster-servers.js';
import { countWrites } from '../support/count-writes.js';
import { freePort } from '../support/ports.js';
import { startStore } from '../support/store-servers.js';
import { eventually, sleep } from '../support/wait.js';
import { etag, item, refused, StateClient, STRONG } from './state-client.js';

const open: { close(): Promise<void> }[] = [];

afterEach(async () => {
  for (const one of open.splice(0).reverse()) await one.close();
});

async function client(metadata: Record<string, string>, wait = true): Promise<StateClient> {
  const all = { redisType: 'cluster', ...metadata };
  const state = await StateClient.open({ type: 'state.redis', metadata: all, wait });
  open.push(state);
  return state;
}

describe('state.redis on a cluster', () => {
  let cluster: ClusterServers;

  beforeAll(async () => {
    cluster = await ClusterServers.start();
  }, 40_000);

  afterEach(async () => {
    await Promise.all(cluster.nodes.map(({ admin }) => admin.flushall()));
  });

  afterAll(() => cluster?.stop());

  it('knows the slot of a key as the nodes do', async () => {
    for (const key of ['', 'a', 'app||ключ/鍵 🔑', 'app||{tag}x', 'a{}b', '{{x}}', '}{', 'x'.repeat(3_000)]) {
      expect(slotOf(key)).toBe(await cluster.slotOf(key));
    }
  });

  it('spreads keys over the nodes, and reads and deletes many at once', async () => {
    const state = await client(cluster.metadata);
    const keys = Array.from({ length: 300 }, (_, index) => `key-${index}`);
    await state.save(...keys.map((key) => item(key, key)));
    for (const { admin } of cluster.nodes) expect(await admin.dbsize()).toBeGreaterThan(50);
    const items = await state.bulk(keys);
    expect(items.map(({ data }) => Buffer.from(data).toString())).toEqual(keys);
    await state.deleteBulk(...keys.map((key) => ({ key })));
    for (const { admin } of cluster.nodes) expect(await admin.dbsize()).toBe(0);
  });

  it('refuses a transaction over several slots, names the fix, and changes nothing', async () => {
    const state = await client(cluster.metadata);
    await state.save(item('a', 'old'), item('b', 'old'));
    const { code, message } = await refused(
      state.transact({ upsert: item('a', 'new') }, { upsert: item('b', 'new') }),
    );
    expect(code).toBe(Code.INVALID_ARGUMENT);
    expect(message).toMatch(/different slots of the Redis Cluster.*hash tag.*\{order-7\}a$/);
    expect((await state.bulk(['a', 'b'])).map(({ etag: version }) => version)).toEqual(['1', '1']);
    await state.transact(
      { upsert: item('{o}a', 'new') },
      { upsert: item('{o}b', 'new') },
      { delete: { key: '{o}a' } },
    );
    expect((await state.bulk(['{o}a', '{o}b'])).map(({ etag: version }) => version)).toEqual(['', '1']);
    // A prefix with a hash tag puts all keys of a store in one slot.
    const together = await client({ ...cluster.metadata, keyPrefix: '{shop}' });
    await together.transact({ upsert: item('a', 'new') }, { upsert: item('b', 'new') });
    expect((await together.bulk(['a', 'b'])).map(({ etag: version }) => version)).toEqual(['1', '1']);
  });

  it('sends what comes together in one write to each node', async () => {
    const state = await client(cluster.metadata);
    // As many as a bulk read asks for at a time; each node has some of them.
    const keys = Array.from({ length: 16 }, (_, index) => `key-${index}`);
    const ports = cluster.nodes.map(({ port }) => port);
    expect(await countWrites(ports, () => state.bulk(keys))).toBe(3);
  });

  /** A key's slot, the node that has it and one that has not, and keys in the slot. */
  async function slotToMove(tag: string): Promise<{ slot: number; from: ClusterNode; to: ClusterNode }> {
    const slot = await cluster.slotOf(`{${tag}}`);
    const from = await cluster.ownerOf(`{${tag}}`);
    const to = cluster.nodes.find((node) => node !== from) as ClusterNode;
    return { slot, from, to };
  }

  it('serves a slot that is being moved, with scripts that its new node has never seen', async () => {
    const state = await client(cluster.metadata);
    const { slot, from, to } = await slotToMove('m');
    await to.admin.script('FLUSH');
    await state.save(item('{m}a', '1'), item('{m}b', '1'), item('{m}c', '1'), item('{m}d', '1'));
    await cluster.beginMove(slot, from, to);
    for (const key of ['{m}a', '{m}c']) {
      await from.admin.call('MIGRATE', '127.0.0.1', String(to.server.port), `app||${key}`, '0', '5000');
    }
    // Moved, not moved yet, and new keys.
    for (const key of ['{m}a', '{m}b']) {
      expect(await state.get(key)).toEqual({ data: '1', etag: '1' });
      await state.save(item(key, '2', etag('1')));
      expect((await refused(state.save(item(key, 'x', etag('1'))))).code).toBe(Code.ABORTED);
      expect(await state.get(key)).toEqual({ data: '2', etag: '2' });
      await state.save(item(key, '3', STRONG));
    }
    expect(await state.get('{m}new')).toEqual({ data: '', etag: '' });
    await state.save(item('{m}new', '1'));
    expect(await to.admin.cluster('COUNTKEYSINSLOT', slot)).toBe(3);
    await state.delete('{m}c', '1');
    await state.delete('{m}d');
    expect((await state.bulk(['{m}a', '{m}b', '{m}c', '{m}d'])).map(({ etag: version }) => version)).toEqual([
      '3',
      '3',
      '',
      '',
    ]);
    // One of its keys here, one there: it is tried again until they are together.
    const split = state.transact({ upsert: item('{m}a', '4') }, { upsert: item('{m}b', '4', etag('3')) });
    await sleep(150);
    await cluster.moveKeys(slot, from, to, 100);
    await split;
    await cluster.endMove(slot, from, to);
    expect((await state.bulk(['{m}a', '{m}b'])).map(({ etag: version }) => version)).toEqual(['4', '4']);
    await state.transact({ upsert: item('{m}a', '5') }, { upsert: item('{m}b', '5') });
    await cluster.beginMove(slot, to, from);
    await cluster.moveKeys(slot, to, from, 100);
    await cluster.endMove(slot, to, from);
  });

  it('learns where a slot has gone, and goes there from then on', async () => {
    const state = await client(cluster.metadata);
    const { slot, from, to } = await slotToMove('n');
    await state.save(item('{n}', '1'));
    await cluster.beginMove(slot, from, to);
    await cluster.moveKeys(slot, from, to, 100);
    await cluster.endMove(slot, from, to);
    const moved = async (): Promise<number> =>
      Number(/errorstat_MOVED:count=(\d+)/.exec(await from.admin.info('errorstats'))?.[1] ?? 0);
    const before = await moved();
    for (let count = 0; count < 20; count++) expect((await state.get('{n}')).data).toBe('1');
    expect((await moved()) - before).toBe(1);
    await cluster.beginMove(slot, to, from);
    await cluster.moveKeys(slot, to, from, 100);
    await cluster.endMove(slot, to, from);
  });

  it('fails a transaction whose keys stay apart', async () => {
    const state = await client(cluster.metadata);
    const { slot, from, to } = await slotToMove('p');
    await state.save(item('{p}a', '1'), item('{p}b', '1'));
    await cluster.beginMove(slot, from, to);
    await cluster.moveKeys(slot, from, to, 1);
    const { code, message } = await refused(
      state.transact({ upsert: item('{p}a', '2') }, { upsert: item('{p}b', '2') }),
    );
    expect(code).toBe(Code.UNAVAILABLE);
    expect(message).toMatch(
      /^state store store is not ready: 127\.0\.0\.1:\d+: TRYAGAIN .*, after 16 tries$/,
    );
    expect((await state.bulk(['{p}a', '{p}b'])).map(({ etag: version }) => version)).toEqual(['1', '1']);
    await cluster.moveKeys(slot, from, to, 100);
    await cluster.endMove(slot, from, to);
  });

  it('finds the cluster by any node that answers', async () => {
    const dead = await freePort();
    const last = cluster.nodes[2]?.port;
    const state = await client({ redisHosts: `127.0.0.1:${dead},127.0.0.1:${last}` });
    await state.save(item('a', '1'), item('b', '1'), item('c', '1'));
    expect((await state.bulk(['a', 'b', 'c'])).map(({ etag: version }) => version)).toEqual(['1', '1', '1']);
  });

  it('is told apart from a single server, both ways', async () => {
    const server = await startStore('valkey');
    open.push({ close: () => server.stop() });
    const state = await client({ redisHost: `127.0.0.1:${server.port}` }, false);
    await eventually('a reason is given', () => state.health.reason);
    expect(state.health.reason).toMatch(/cluster support disabled; for a single server leave out redisType$/);
    const [node] = cluster.nodes as [ClusterNode];
    const single = await client({ redisType: 'node', redisHost: `127.0.0.1:${node.port}` });
    const messages = new Set<string>();
    for (const key of ['a', 'b', 'c', 'd', 'e', 'f']) {
      await single.get(key).catch((error: Error) => messages.add(error.message.replaceAll(/\d+/g, 'N')));
    }
    expect([...messages]).toEqual([
      'MOVED N N.N.N.N:N; this server is part of a cluster, set redisType: cluster',
    ]);
  });
});

describe('state.redis on a cluster whose nodes come and go', () => {
  it('serves what can be served, and names who is away', async () => {
    const cluster = await ClusterServers.start({
      password: 'secret',
      args: ['--cluster-require-full-coverage', 'no'],
    });
    open.push({ close: () => cluster.stop() });
    const wrong = await client({ ...cluster.metadata, redisPassword: 'wrong' }, false);
    await eventually('a reason is given', () => wrong.health.reason);
    expect(wrong.health.reason).toMatch(/^127\.0\.0\.1:\d+: WRONGPASS/);

    const state = await client(cluster.metadata);
    const [first, second] = cluster.nodes as [ClusterNode, ClusterNode];
    const keys = Array.from({ length: 100 }, (_, index) => `key-${index}`);
    const lost = new Set<string>();
    for (const key of keys) if ((await cluster.ownerOf(`app||${key}`)) === second) lost.add(key);
    await state.save(...keys.map((key) => item(key, '1')));
    await second.server.stop();
    await eventually('the loss is noticed', async () => {
      const [key = ''] = lost;
      const { message } = await refused(state.get(key));
      return message.startsWith(`state store store is not ready: 127.0.0.1:${second.port}: `);
    });
    for (const [index, { error, etag: version }] of (await state.bulk(keys)).entries()) {
      const away = lost.has(keys[index] ?? '');
      expect(version).toBe(away ? '' : '1');
      expect(error).toMatch(away ? `127.0.0.1:${second.port}: ` : /^$/);
    }
    expect(state.health.status).toBe('ready');

    await first.server.stop();
    await cluster.nodes[2]?.server.stop();
    await state.until('down');
    expect((await refused(state.get('a'))).message).toMatch(/^state store store is not ready: 127\.0\.0\.1:/);
  });

  it('may come later than the bridge, and fill a replica', async () => {
    const ports = [await freePort(), await freePort()];
    const redisHost = ports.map((port) => `127.0.0.1:${port}`).join();
    const state = await client({ redisHost }, false);
    await eventually('a reason is given', () => state.health.reason);
    expect((await refused(state.get('a'))).code).toBe(Code.UNAVAILABLE);
    const cluster = await ClusterServers.start({ primaries: 1, replicas: 1, ports });
    open.push({ close: () => cluster.stop() });
    await state.until('ready');
    await state.save(item('a', '1'), item('b', '1', STRONG));
    expect(await state.get('b')).toEqual({ data: '1', etag: '1' });
    const replica = new Redis(ports[1] ?? 0, '127.0.0.1', { protocol: 2, readOnly: true });
    open.push({ close: async () => replica.disconnect() });
    for (let count = 2; count < 20; count++) {
      await state.save(item('b', String(count), STRONG));
      expect(await replica.hget('app||b', 'data')).toBe(String(count));
    }
    await cluster.nodes[1]?.server.process.freeze();
    const { code, message } = await refused(state.save(item('b', 'x', STRONG)));
    cluster.nodes[1]?.server.process.signal('SIGCONT');
    expect(code).toBe(Code.UNAVAILABLE);
    expect(message).toContain('the write was done on the primary, but 0 of 1 replicas confirmed it');
  });
});
