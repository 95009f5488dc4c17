import { Redis } from 'ioredis';

import { slotOf, SLOTS, tagOf } from '../../components-bridge/src/components/redis/slots.js';
import * as locks from '../../components-bridge/src/gen/layotto/bridge/v1/lock_pb.js';
import { Code } from '../../components-bridge/src/primitives/errors.js';
import { Rooms } from '../support/rooms.js';
import type { RoomComponent } from '../support/rooms.js';
import { startStore } from '../support/store-servers.js';
import type { StoreServer } from '../support/store-servers.js';
import { LockClient } from './lock.js';
import { SequencerClient } from './sequencer.js';
import { refused } from './state-client.js';

/** How locks and ids stand in Redis, where Dapr's and Layotto's apps see them too. */
describe('locks and ids in Redis', () => {
  let server: StoreServer;
  let redis: Redis;
  let rooms: Rooms;

  beforeAll(async () => {
    server = await startStore('redis');
    redis = new Redis(server.port, '127.0.0.1');
    const metadata = { redisHost: `127.0.0.1:${server.port}` };
    const lock = (name: string, form: RoomComponent['form'], keyPrefix?: string): RoomComponent => ({
      name,
      type: 'lock.redis',
      form: form ?? 'native',
      metadata: { ...metadata, ...(keyPrefix === undefined ? {} : { keyPrefix }) },
    });
    rooms = await Rooms.open([
      lock('native', 'native'),
      lock('dapr', 'dapr'),
      lock('layotto', 'layotto'),
      lock('none', 'layotto', 'none'),
      lock('name', 'dapr', 'name'),
      lock('text', 'dapr', 'abc'),
      { name: 'ids', type: 'sequencer.redis', metadata },
      { name: 'plain', type: 'sequencer.redis', metadata: { ...metadata, keyPrefix: 'none' } },
      { name: 'raised', type: 'sequencer.redis', metadata: { ...metadata, biggerThan: '{"k": 5}' } },
    ]);
  });

  beforeEach(() => redis.flushall());

  afterAll(async () => {
    await rooms?.close();
    redis?.disconnect();
    await server?.stop();
  });

  it.each([
    ['native', 'lock||app||r'],
    ['dapr', 'lock||app||r'],
    ['layotto', 'lock|||app||r'],
    ['none', 'lock|||r'],
    ['name', 'lock||name||r'],
    ['text', 'lock||abc||r'],
  ])('keeps the owner of a lock in the store %s under %s', async (store, key) => {
    await new LockClient(rooms, store).tryLock('r', 'me', 50);
    expect(await redis.get(key)).toBe('me');
    expect(await redis.ttl(key)).toBeGreaterThan(45);
    await new LockClient(rooms, store).keepAlive('r', 'me', 500);
    expect(await redis.ttl(key)).toBeGreaterThan(450);
    await new LockClient(rooms, store).unlock('r', 'me');
    expect(await redis.keys('lock|*')).toEqual([]);
  });

  it("sees a lock of Dapr's, and keeps its own from it", async () => {
    const client = new LockClient(rooms, 'dapr');
    await redis.set('lock||app||r', 'somebody', 'EX', 50);
    expect(await client.tryLock('r', 'me')).toBe(0n);
    expect(await client.unlock('r', 'me')).toBe(locks.LockStatus.BELONG_TO_OTHERS);
    expect(await client.unlock('r', 'somebody')).toBe(locks.LockStatus.SUCCESS);
  });

  it('keeps one number for all the locks of a slot, in that slot', async () => {
    const client = new LockClient(rooms, 'dapr');
    const resources = Array.from({ length: 50 }, (_, index) => `{same}${index}`);
    let last = 0n;
    for (const resource of resources) {
      const token = await client.tryLock(resource, 'me');
      expect(token).toBeGreaterThan(last);
      last = token;
    }
    const counters = await redis.keys('lock-fencing:*');
    expect(counters).toHaveLength(1);
    expect(slotOf(counters[0] ?? '')).toBe(slotOf('lock||app||{same}0'));
    expect(await redis.get(counters[0] ?? '')).toBe(String(last));
  });

  it('has a text for every slot', () => {
    for (let slot = 0; slot < SLOTS; slot++) {
      expect(slotOf(`lock-fencing:{${tagOf(slot)}}`)).toBe(slot);
    }
  });

  it('gives tokens that grow when Redis has lost everything, or the last of them, and when its clock went back', async () => {
    const client = new LockClient(rooms, 'dapr');
    const first = await client.tryLock('r', 'me');
    await redis.flushall();
    const second = await client.tryLock('r', 'me');
    expect(second).toBeGreaterThan(first);
    const [counter = ''] = await redis.keys('lock-fencing:*');
    // As a replica has it that had not heard of the last ones when it became the primary.
    await redis.set(counter, String(first - 1_000n));
    await client.unlock('r', 'me');
    expect(await client.tryLock('r', 'me')).toBeGreaterThan(second);
    const future = 2n ** 53n + 1n;
    await redis.set(counter, String(future));
    for (let count = 1n; count < 4n; count++) {
      await client.unlock('r', 'me');
      expect(await client.tryLock('r', 'me')).toBe(future + count);
    }
  });

  it('takes no lock if it can give no token', async () => {
    const client = new LockClient(rooms, 'dapr');
    await client.tryLock('r', 'me');
    await client.unlock('r', 'me');
    const [counter = ''] = await redis.keys('lock-fencing:*');
    await redis.set(counter, 'no number');
    expect((await refused(client.tryLock('r', 'me'))).code).toBe(Code.INTERNAL);
    expect(await redis.exists('lock||app||r')).toBe(0);
  });

  it('says INTERNAL_ERROR of a key that is no lock, and leaves it alone', async () => {
    const client = new LockClient(rooms, 'dapr');
    await redis.hset('lock||app||r', 'field', 'value');
    expect(await client.tryLock('r', 'me')).toBe(0n);
    expect(await client.unlock('r', 'me')).toBe(locks.LockStatus.INTERNAL_ERROR);
    expect(await client.keepAlive('r', 'me')).toBe(locks.LockStatus.INTERNAL_ERROR);
    expect(await redis.hget('lock||app||r', 'field')).toBe('value');
  });

  it("counts in Layotto's key, and exactly above 2^53", async () => {
    const client = new SequencerClient(rooms);
    expect(await client.next('k')).toBe(1n);
    expect(await redis.get('sequencer|||app||k')).toBe('1');
    await redis.set('sequencer|||app||k', String(2n ** 53n));
    expect(await client.next('k')).toBe(2n ** 53n + 1n);
    await new SequencerClient(rooms, 'plain').next('k');
    expect(await redis.get('sequencer|||k')).toBe('1');
  });

  it('says what is wrong with a key that is no counter', async () => {
    await redis.set('sequencer|||app||k', 'text');
    expect(await refused(new SequencerClient(rooms).next('k'))).toEqual({
      code: Code.INTERNAL,
      message: expect.stringContaining('not an integer') as string,
    });
    await redis.set('sequencer|||app||k', '-5');
    expect(await refused(new SequencerClient(rooms).next('k'))).toEqual({
      code: Code.INTERNAL,
      message: 'the counter sequencer|||app||k is negative; ids begin at 1',
    });
  });

  it('compares biggerThan with every digit', async () => {
    const metadata = { redisHost: `127.0.0.1:${server.port}` };
    const least = 2n ** 53n + 1n;
    const raisedTo = async (before: string): Promise<string | null> => {
      await redis.set('sequencer|||app||k', before);
      const biggerThan = JSON.stringify({ k: String(least) });
      const type = 'sequencer.redis';
      const opened = await Rooms.open([{ name: 'ids', type, metadata: { ...metadata, biggerThan } }]);
      await opened.close();
      return redis.get('sequencer|||app||k');
    };
    expect(await raisedTo(String(least - 1n))).toBe(String(least));
    expect(await raisedTo(String(least + 1n))).toBe(String(least + 1n));
    expect(await raisedTo('9')).toBe(String(least));
    // Greater as a text.
    expect(await raisedTo('99')).toBe(String(least));
    expect(await raisedTo('-9')).toBe(String(least));
  });
});
