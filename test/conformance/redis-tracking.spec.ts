import { Redis } from 'ioredis';
import { pino } from 'pino';

import { open } from '../../components-bridge/src/components/redis/state.js';
import type { RedisStateStore } from '../../components-bridge/src/components/redis/state.js';
import { ClusterServers } from '../support/cluster-servers.js';
import { startStore } from '../support/store-servers.js';
import { eventually } from '../support/wait.js';

/** A server to read through a store that tracks, and to write to from outside. */
interface Subject {
  redisHost: string;
  more: Record<string, string>;
  /** A client of the server that has the key. */
  outside: (key: string) => Promise<Redis>;
  /** Breaks every connection to it. */
  breakAll: () => Promise<void>;
  stop: () => Promise<void>;
}

async function single(kind: 'redis' | 'valkey'): Promise<Subject> {
  const server = await startStore(kind);
  const client = new Redis(server.port, '127.0.0.1');
  return {
    redisHost: `127.0.0.1:${server.port}`,
    more: {},
    outside: async () => client,
    breakAll: async () => {
      await client.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
      await client.call('CLIENT', 'KILL', 'TYPE', 'pubsub');
    },
    stop: async () => {
      client.disconnect();
      await server.stop();
    },
  };
}

describe.each(['redis', 'valkey'] as const)('a store on %s that tracks what was read', (kind) => {
  let subject: Subject;
  let store: RedisStateStore;
  let told: (readonly string[] | 'all')[];

  beforeEach(async () => {
    subject = await single(kind);
    told = [];
    store = await open({
      name: 'statestore',
      version: 'v1',
      appId: 'app',
      metadata: { redisHost: subject.redisHost, nearCacheMaxAge: '10s', ...subject.more },
      dataDir: '',
      log: pino({ level: 'silent' }),
      report: () => undefined,
      invalidate: (keys) => told.push(keys),
    });
    await tracking();
  });
  afterEach(async () => {
    await store.close();
    await subject.stop();
  });

  const toldOf = (key: string): number => told.filter((keys) => keys !== 'all' && keys.includes(key)).length;

  /** Reads a key until nothing is told of it because of the read itself: then it is tracked. */
  async function tracking(): Promise<void> {
    await eventually('reads are tracked', async () => {
      told = [];
      await store.get('probe');
      await new Promise((resolve) => setTimeout(resolve, 50));
      return told.length === 0;
    });
    told = [];
  }

  test('hears of a key that somebody else writes, deletes or lets expire', async () => {
    const client = await subject.outside('k');
    const changes: [string, () => Promise<unknown>][] = [
      ['written', () => client.hset('k', 'data', 'x', 'version', '1')],
      ['given a time to live', () => client.pexpire('k', 30)],
      ['deleted', () => client.hset('k', 'data', 'y', 'version', '2').then(() => client.del('k'))],
    ];
    for (const [what, change] of changes) {
      await store.get('k');
      told = [];
      await change();
      await eventually(`the key is ${what}`, () => Promise.resolve(toldOf('k') > 0));
    }
    // The last change but one was an expiry: reading makes the server notice it at the latest.
    await client.hset('gone', 'data', 'x', 'version', '1');
    await store.get('gone');
    told = [];
    await client.pexpire('gone', 1);
    await eventually('the expiry is told', () => Promise.resolve(toldOf('gone') > 0));
  });

  test('hears of its own writes, and of a flush', async () => {
    await store.get('k');
    await store.set({ key: 'k', value: Buffer.from('1'), firstWrite: false, strong: false });
    await eventually('its own write is told', () => Promise.resolve(toldOf('k') > 0));
    await store.get('k');
    told = [];
    await (await subject.outside('k')).flushall();
    await eventually('the flush is told', () => Promise.resolve(told.includes('all')));
  });

  test('says nothing of keys that nobody has read', async () => {
    const client = await subject.outside('other');
    await client.hset('other', 'data', 'x', 'version', '1');
    await store.get('k');
    await client.hset('k', 'data', 'x', 'version', '1');
    await eventually('the key is told', () => Promise.resolve(toldOf('k') > 0));
    expect(toldOf('other')).toBe(0);
  });

  test('gives up everything when a connection is lost, and tracks again when it is back', async () => {
    await store.get('k');
    await subject.breakAll();
    await eventually('everything is given up', () => Promise.resolve(told.includes('all')));
    await eventually('the store is back', async () => {
      await store.get('k');
      return true;
    });
    await tracking();
    await store.get('k');
    await (await subject.outside('k')).hset('k', 'data', 'x', 'version', '1');
    await eventually('changes are told again', () => Promise.resolve(toldOf('k') > 0));
  });

  test('tells of a key that changed while it was read, after the read', async () => {
    const client = await subject.outside('k');
    let wrote = 0;
    for (let i = 0; i < 200; i++) {
      const before = told.length;
      const [value] = await Promise.all([
        store.get('raced'),
        client.hset('raced', 'data', String(i), 'version', '1').then(() => wrote++),
      ]);
      const read = Buffer.from(value?.data ?? '').toString();
      if (read === String(i)) continue;
      // An older value was read: what is told from now on must include the key.
      const known = told.length;
      expect(known).toBeGreaterThanOrEqual(before);
      await eventually('the change is told after the read', () =>
        Promise.resolve(told.slice(before).some((keys) => keys === 'all' || keys.includes('raced'))),
      );
    }
    expect(wrote).toBe(200);
  });
});

test('a store on a cluster tracks what was read on every node', async () => {
  const cluster = await ClusterServers.start({ replicas: 0 });
  const told: (readonly string[] | 'all')[] = [];
  const store = await open({
    name: 'statestore',
    version: 'v1',
    appId: 'app',
    metadata: { redisHost: cluster.addresses, redisType: 'cluster', nearCacheMaxAge: '10s' },
    dataDir: '',
    log: pino({ level: 'silent' }),
    report: () => undefined,
    invalidate: (keys) => told.push(keys),
  });
  try {
    const keys = Array.from({ length: 20 }, (_, i) => `key-${i}`);
    await eventually('changes of keys on every node are told', async () => {
      for (const key of keys) await store.get(key);
      told.length = 0;
      for (const key of keys)
        await store.set({ key, value: Buffer.from('x'), firstWrite: false, strong: false });
      await new Promise((resolve) => setTimeout(resolve, 100));
      const all = told.flatMap((said) => (said === 'all' ? [] : [...said]));
      return keys.every((key) => all.includes(key));
    });
  } finally {
    await store.close();
    await cluster.stop();
  }
});
