import * as pb from '../../components-bridge/src/gen/layotto/bridge/v1/lock_pb.js';
import { Code } from '../../components-bridge/src/primitives/errors.js';
import { Rooms } from '../support/rooms.js';
import { eventually } from '../support/wait.js';
import { conformance } from './backends.js';
import type { Subject } from './backends.js';
import type { CoordinationBackend } from './coordination.js';
import { refused } from './state-client.js';

const TRY = [pb.TryLockRequestSchema, pb.TryLockResponseSchema] as const;
const UNLOCK = [pb.UnlockRequestSchema, pb.UnlockResponseSchema] as const;
const KEEP = [pb.LockKeepAliveRequestSchema, pb.LockKeepAliveResponseSchema] as const;

const { SUCCESS, UNEXIST, BELONG_TO_OTHERS } = pb.LockStatus;

/** A time that no test outlives, in seconds. */
const LONG = 100;
/** Backends may expire keys a little late. */
const LATE = { timeoutMs: 15_000 };

/** One app's view of a lock store. */
export class LockClient {
  constructor(
    readonly rooms: Rooms,
    readonly storeName = 'locks',
  ) {}

  /** The fencing token; 0 if the lock was not taken. */
  async tryLock(resourceId: string, lockOwner: string, expire = LONG): Promise<bigint> {
    const request = { storeName: this.storeName, resourceId, lockOwner, expire };
    const { success, fencingToken } = await this.rooms.call('Lock/TryLock', TRY, request);
    expect(success).toBe(fencingToken > 0n);
    return fencingToken;
  }

  async unlock(resourceId: string, lockOwner: string): Promise<pb.LockStatus> {
    const request = { storeName: this.storeName, resourceId, lockOwner };
    return (await this.rooms.call('Lock/Unlock', UNLOCK, request)).status;
  }

  async keepAlive(resourceId: string, lockOwner: string, expire = LONG): Promise<pb.LockStatus> {
    const request = { storeName: this.storeName, resourceId, lockOwner, expire };
    return (await this.rooms.call('Lock/LockKeepAlive', KEEP, request)).status;
  }
}

/** What every lock store must do, whatever it is made of. A new store is one call of this. */
export function lockConformance(subject: Subject, start: () => Promise<CoordinationBackend>): void {
  conformance('lock', subject, () => {
    let backend: CoordinationBackend;
    /** Two bridges on one backend. */
    let one: LockClient;
    let other: LockClient;
    let resources = 0;
    /** One that no test has used. */
    const fresh = (): string => `resource ${++resources}/鍵 🔑`;

    const bridge = (): Promise<Rooms> =>
      Rooms.open([
        { ...backend.component, name: 'locks' },
        { ...backend.other, name: 'others' },
      ]);

    beforeAll(async () => {
      backend = await start();
      one = new LockClient(await bridge());
      other = new LockClient(await bridge());
    }, 40_000);

    afterAll(async () => {
      await one?.rooms.close();
      await other?.rooms.close();
      await backend?.stop();
    });

    it('gives a lock to one owner at a time, and not twice to the same', async () => {
      const resource = fresh();
      expect(await one.tryLock(resource, 'a')).toBeGreaterThan(0n);
      expect(await one.tryLock(resource, 'a')).toBe(0n);
      expect(await other.tryLock(resource, 'b')).toBe(0n);
      expect(await one.unlock(resource, 'a')).toBe(SUCCESS);
      expect(await other.tryLock(resource, 'b')).toBeGreaterThan(0n);
      expect(await one.tryLock(resource, 'a')).toBe(0n);
    });

    it('gives it back for its owner only', async () => {
      const resource = fresh();
      expect(await one.unlock(resource, 'a')).toBe(UNEXIST);
      await one.tryLock(resource, 'a');
      for (const stranger of ['b', 'A', 'a ', 'aa']) {
        expect(await other.unlock(resource, stranger)).toBe(BELONG_TO_OTHERS);
      }
      expect(await other.unlock(resource, 'a')).toBe(SUCCESS);
      expect(await one.unlock(resource, 'a')).toBe(UNEXIST);
    });

    it('keeps locks of other resources and of other stores apart', async () => {
      const resource = fresh();
      await one.tryLock(resource, 'a');
      expect(await one.tryLock(fresh(), 'a')).toBeGreaterThan(0n);
      const others = new LockClient(one.rooms, 'others');
      expect(await others.unlock(resource, 'a')).toBe(UNEXIST);
      expect(await others.tryLock(resource, 'a')).toBeGreaterThan(0n);
    });

    it('has one winner of each race, and a token that grows from one to the next', async () => {
      const resource = fresh();
      let last = 0n;
      for (let round = 0; round < 25; round++) {
        const owners = Array.from({ length: 8 }, (_, index) => `${index}`);
        const tokens = await Promise.all(
          owners.map((owner, index) => (index % 2 === 0 ? one : other).tryLock(resource, owner)),
        );
        const winners = owners.filter((_, index) => tokens[index] !== 0n);
        expect(winners).toHaveLength(1);
        const token = tokens.find((given) => given !== 0n) ?? 0n;
        expect(token).toBeGreaterThan(last);
        last = token;
        expect(await one.unlock(resource, winners[0] ?? '')).toBe(SUCCESS);
      }
    });

    it('lets a lock go when its time is up, and whoever comes then gets a greater token', async () => {
      const resource = fresh();
      const first = await one.tryLock(resource, 'a', 1);
      const second = await eventually('it is free', () => other.tryLock(resource, 'b').then(orNothing), LATE);
      expect(second).toBeGreaterThan(first);
      expect(await one.keepAlive(resource, 'a')).toBe(BELONG_TO_OTHERS);
      expect(await one.unlock(resource, 'a')).toBe(BELONG_TO_OTHERS);
      expect(await other.unlock(resource, 'b')).toBe(SUCCESS);
    });

    it('keeps a lock as long as it is told', async () => {
      const resource = fresh();
      const short = fresh();
      expect(await one.keepAlive(resource, 'a')).toBe(UNEXIST);
      await one.tryLock(resource, 'a', 1);
      await one.tryLock(short, 'a', 1);
      expect(await other.keepAlive(resource, 'b')).toBe(BELONG_TO_OTHERS);
      expect(await other.keepAlive(resource, 'a', LONG)).toBe(SUCCESS);
      // By then the other one would be gone as well.
      await eventually(
        'one that was not kept is free',
        () => other.tryLock(short, 'b').then(orNothing),
        LATE,
      );
      expect(await other.tryLock(resource, 'b')).toBe(0n);
      // It may also be made shorter.
      expect(await one.keepAlive(resource, 'a', 1)).toBe(SUCCESS);
      await eventually('it is free', () => other.tryLock(resource, 'b').then(orNothing), LATE);
      expect(await one.keepAlive(short, 'a')).toBe(BELONG_TO_OTHERS);
    });

    it('keeps locks, and tokens that grow, when the bridge is restarted', async () => {
      const resource = fresh();
      const held = fresh();
      const first = await one.tryLock(resource, 'a');
      await one.unlock(resource, 'a');
      await one.tryLock(held, 'a');
      await one.rooms.close();
      await other.rooms.close();
      one = new LockClient(await bridge());
      other = new LockClient(await bridge());
      expect(await other.tryLock(held, 'b')).toBe(0n);
      expect(await other.tryLock(resource, 'b')).toBeGreaterThan(first);
      expect(await one.unlock(held, 'a')).toBe(SUCCESS);
    });

    it('takes names of any length and with any characters', async () => {
      for (const resource of ['x'.repeat(5_000), '{tag}x', '}{', '\0', '\r\n', '%']) {
        expect(await one.tryLock(resource, 'o'.repeat(1_024))).toBeGreaterThan(0n);
        expect(await other.tryLock(resource, 'p')).toBe(0n);
        expect(await other.unlock(resource, 'o'.repeat(1_024))).toBe(SUCCESS);
      }
    });

    it('takes the longest time there is', async () => {
      const resource = fresh();
      expect(await one.tryLock(resource, 'a', 2 ** 31 - 1)).toBeGreaterThan(0n);
      expect(await one.keepAlive(resource, 'a', 2 ** 31 - 1)).toBe(SUCCESS);
      expect(await other.tryLock(resource, 'b')).toBe(0n);
    });

    it.each<[string, (client: LockClient) => Promise<unknown>, string]>([
      ['no resource', (c) => c.tryLock('', 'a'), 'ResourceId is empty in lock store locks'],
      ['no owner', (c) => c.unlock('r', ''), 'LockOwner is empty in lock store locks'],
      ['no time', (c) => c.tryLock('r', 'a', 0), 'Expire is not positive in lock store locks'],
      ['a time before now', (c) => c.keepAlive('r', 'a', -1), 'Expire is not positive in lock store locks'],
      ['a separator', (c) => c.tryLock('a||b', 'a'), "input key/keyPrefix 'a||b' can't contain '||'"],
      [
        'a long owner',
        (c) => c.tryLock('r', 'o'.repeat(1_025)),
        'LockOwner has 1025 bytes, more than 1024, in lock store locks',
      ],
      [
        'an unknown store',
        (c) => new LockClient(c.rooms, 'nope').tryLock('r', 'a'),
        'lock store nope not found',
      ],
    ])('refuses %s', async (_, call, message) => {
      expect(await refused(call(one))).toEqual({ code: Code.INVALID_ARGUMENT, message });
    });
  });
}

function orNothing(token: bigint): bigint | undefined {
  return token === 0n ? undefined : token;
}
