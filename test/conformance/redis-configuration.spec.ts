import { Redis } from 'ioredis';

import { configurationMetadataSchema } from '../../components-bridge/src/components/redis/metadata.js';
import * as pb from '../../components-bridge/src/gen/layotto/bridge/v1/configuration_pb.js';
import type { Change } from '../../components-bridge/src/primitives/configuration/watched-query.js';
import type { Following } from '../../components-bridge/src/primitives/configuration/watches.js';
import { Rooms } from '../support/rooms.js';
import { SentinelServers } from '../support/sentinel-servers.js';
import { startStore, type StoreServer } from '../support/store-servers.js';
import { eventually } from '../support/wait.js';

const GET = [pb.GetConfigurationRequestSchema, pb.GetConfigurationResponseSchema] as const;
const SAVE = [pb.SaveConfigurationRequestSchema, pb.SaveConfigurationResponseSchema] as const;

/** What belongs to Redis alone; what every store does is in configuration.ts. */
describe('configuration.redis', () => {
  let server: StoreServer;
  let rooms: Rooms;
  let outside: Redis;
  const followings: Following[] = [];

  async function start(...args: string[]): Promise<void> {
    server = await startStore('redis', args);
    outside = new Redis(server.port, '127.0.0.1');
    const metadata = { redisHost: `127.0.0.1:${server.port}` };
    rooms = await Rooms.open([{ name: 'configs', type: 'configuration.redis', metadata }]);
  }

  afterEach(async () => {
    for (const following of followings.splice(0)) following.close();
    await rooms?.close();
    outside?.disconnect();
    await server?.stop();
  });

  const get = async (request: {
    keys?: string[];
    group?: string;
    label?: string;
  }): Promise<pb.ConfigurationItem[]> =>
    (await rooms.call('Configuration/GetConfiguration', GET, { storeName: 'configs', ...request })).items;

  /** What is told of some keys. */
  async function follow(...keys: string[]): Promise<Change[]> {
    const told: Change[] = [];
    const asked = { appId: '', group: '', label: '', keys, metadata: {} };
    const following = rooms.watches.follow('configs', asked, {
      changed: (changes) => void told.push(...changes),
      ended: () => undefined,
    });
    followings.push(following);
    await following.query.firstTry;
    return told;
  }

  const logged = (text: string): Promise<true> =>
    eventually(`the log says "${text}"`, () => rooms.log.some((line) => line.includes(text)));

  it("reads and writes Dapr's form, and other things beside it", async () => {
    await start();
    await outside.mset('a', 'one||v7', 'b', 'bare', 'c', 'x||y||z', 'd', '');
    const found = (await get({ keys: ['a', 'b', 'c', 'd'] })).map(({ content, version }) => [
      content,
      version,
    ]);
    expect(found).toEqual([
      ['one', 'v7'],
      ['bare', ''],
      ['x', 'y'],
      ['', ''],
    ]);
    const items = [
      { key: 'a', content: 'two' },
      { key: 'n', content: 'new' },
      { key: 'g', content: '1', group: 'p|q', label: '%' },
      { key: 't', content: 'a||b', tags: { x: 'y' } },
    ];
    await rooms.call('Configuration/SaveConfiguration', SAVE, { storeName: 'configs', items });
    expect(await outside.mget('a', 'n', 't')).toEqual(['two||1', 'new||1', 'a||b||1']);
    expect(await outside.get('layotto||item||p%7Cq||%25||g')).toBe('1||1');
    expect(await outside.get('layotto||tags||t')).toBe('1||4||{"tags":{"x":"y"},"metadata":{}}');
    // Whoever overwrites the item alone leaves no tags on it.
    await outside.set('t', 'plain||2');
    expect((await get({ keys: ['t'] }))[0]).toMatchObject({ content: 'plain', version: '2', tags: {} });
    // What is no string is no item.
    await outside.hset('state', 'data', 'x');
    expect((await get({})).map(({ key }) => key)).toEqual(['a', 'b', 'c', 'd', 'n', 't']);
  });

  it('turns on the notifications that it needs, and leaves the others as they are', async () => {
    await start('--notify-keyspace-events', 'Elz');
    await logged('hears of changes by keyspace notifications');
    const [, flags = ''] = (await outside.config('GET', 'notify-keyspace-events'));
    for (const flag of 'ElzKg$xe') expect(flags).toContain(flag);
  });

  it('does so again for a server that was started anew', async () => {
    await start();
    await outside.set('k', '1');
    const told = await follow('k', 'l');
    const { port } = server;
    await server.stop();
    server = await startStore('redis', [], port);
    await eventually('it is told that the key is gone', () => told.at(-1)?.deleted === true);
    await outside.set('l', 'new||1');
    await eventually('changes are told', () => told.at(-1)?.item.content === 'new');
  });

  it('asks the server whether it tells, where it may not look', async () => {
    await start('--rename-command', 'CONFIG', '', '--notify-keyspace-events', 'KA');
    await logged('hears of changes by keyspace notifications');
    const told = await follow('k');
    await outside.set('k', '1');
    await eventually('it is told at once', () => told.length === 1, { timeoutMs: 500, everyMs: 5 });
  });

  it('says so where changes are not told', async () => {
    await start('--rename-command', 'CONFIG', '');
    await logged('they are looked for every second; set notify-keyspace-events to Kg$xe');
  });

  it('tells that all keys are gone, of which the server tells nothing', async () => {
    await start();
    await outside.mset('k', '1', 'l', '2');
    const told = await follow('k', 'l');
    await outside.flushall();
    await eventually('it is told', () => told.filter(({ deleted }) => deleted).length === 2);
  });

  it('tells of keys that expire', async () => {
    await start();
    await outside.set('k', '1', 'PX', 300);
    const told = await follow('k');
    await eventually('it is told', () => told.at(-1)?.deleted === true);
  });

  it('refuses a key that is its own', async () => {
    await start();
    const items = [{ key: 'layotto||item||a', content: 'x' }];
    const save = rooms.call('Configuration/SaveConfiguration', SAVE, { storeName: 'configs', items });
    await expect(save).rejects.toMatchObject({
      code: 3,
      message: expect.stringContaining('begin with') as string,
    });
  });

  it('does not read without a pause what changes all the time', async () => {
    await start();
    for (let i = 0; i < 20_000; i += 1_000) {
      await outside.mset(...Array.from({ length: 1_000 }, (_, j) => [`fill${i + j}`, 'x']).flat());
    }
    await outside.del(...Array.from({ length: 11_000 }, (_, i) => `fill${i}`));
    const told: Change[] = [];
    const asked = { appId: '', group: '', label: '', keys: [], metadata: {} };
    const following = rooms.watches.follow('configs', asked, {
      changed: (changes) => void told.push(...changes),
      ended: () => undefined,
    });
    followings.push(following);
    await following.query.firstTry;
    const before = Number(/total_commands_processed:(\d+)/.exec(await outside.info('stats'))?.[1]);
    const end = performance.now() + 1_000;
    let writes = 0;
    while (performance.now() < end) {
      await outside.set('busy', `${++writes}`);
    }
    await outside.set('busy', 'last');
    await eventually('the last is told', () => told.at(-1)?.item.content === 'last');
    const commands =
      Number(/total_commands_processed:(\d+)/.exec(await outside.info('stats'))?.[1]) - before - writes;
    // A read of 9,000 keys takes about 40 commands; without a pause there would be one after the other.
    expect(commands).toBeLessThan(1_000);
    expect(told.length).toBeGreaterThan(1);
  });
});

test('configuration.redis refuses a cluster', () => {
  const metadata = { redisHost: 'a:1,b:1', redisType: 'cluster' };
  const [issue] = configurationMetadataSchema.safeParse(metadata).error?.issues ?? [];
  expect(issue).toMatchObject({
    path: ['redisType'],
    message: expect.stringMatching(/^expected node: /) as string,
  });
});

describe('configuration.redis by Sentinel', () => {
  let group: SentinelServers;
  let rooms: Rooms;

  beforeAll(async () => {
    group = await SentinelServers.start();
    rooms = await Rooms.open([{ name: 'configs', type: 'configuration.redis', metadata: group.metadata }]);
  }, 40_000);

  afterAll(async () => {
    await rooms?.close();
    await group?.stop();
  });

  it('goes on telling of changes after another server has become the primary', async () => {
    const told: Change[] = [];
    const asked = { appId: '', group: '', label: '', keys: ['k'], metadata: {} };
    const following = rooms.watches.follow('configs', asked, {
      changed: (changes) => void told.push(...changes),
      ended: () => undefined,
    });
    await following.query.firstTry;
    const before = await group.primary();
    await group.askServer(before, (redis) => redis.set('k', 'before||1'));
    await eventually('the change is told', () => told.at(-1)?.item.content === 'before');
    await group.settled();
    await group.askSentinel('FAILOVER', 'main');
    const after = await eventually(
      'another server is the primary',
      async () => {
        const now = await group.primary();
        return now.port !== before.port && now;
      },
      { timeoutMs: 20_000 },
    );
    let n = 0;
    await eventually('changes are told again', async () => {
      await group.askServer(after, (redis) => redis.set('k', `after||${++n}`));
      return told.at(-1)?.item.content === 'after';
    });
    following.close();
  });
});
