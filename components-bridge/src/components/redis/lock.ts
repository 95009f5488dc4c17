import type { BackendPlace, ComponentContext } from '../../primitives/component.js';
import { reasonOf } from '../../primitives/errors.js';
import { LockError } from '../../primitives/lock/lock-store.js';
import type { LockClaim, LockOutcome, LockStore, TimedLockClaim } from '../../primitives/lock/lock-store.js';
import { openConnection, placeOf } from './connection.js';
import type { RedisConnection } from './connection.js';
import { RedisUnavailable, RedisUnconfirmed, refusalText } from './failure.js';
import { lockMetadataSchema } from './metadata.js';
import { evaluate, script } from './script.js';
import type { Script } from './script.js';
import { slotOf, tagOf } from './slots.js';

/** Sets `owner` of KEYS[1]: false if nobody holds it. A key of another type is answered with `broken`. */
const LOOK = `
local owner = redis.pcall('GET', KEYS[1])
if type(owner) == 'table' then
  if string.find(owner.err, 'WRONGTYPE', 1, true) then return 'broken' end
  return owner
end
if not owner then return 'absent' end
if owner ~= ARGV[1] then return 'others' end
`;

/**
 * KEYS: lock, counter. ARGV: owner, seconds. Returns the token, or nil if the lock is held. The counter is read and
 * written first: if that fails, the lock is not taken.
 */
const TRY_LOCK = script(`
if redis.call('EXISTS', KEYS[1]) == 1 then return false end
local time = redis.call('TIME')
local now = time[1] .. string.format('%06d', time[2])
local last = redis.call('GET', KEYS[2])
if last and tonumber(last) >= tonumber(now) then
  redis.call('INCR', KEYS[2])
else
  redis.call('SET', KEYS[2], now)
end
local token = redis.call('GET', KEYS[2])
redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[2])
return token
`);

/** KEYS: lock. ARGV: owner. */
const UNLOCK = script(`${LOOK}
redis.call('DEL', KEYS[1])
return 'done'
`);

/** KEYS: lock. ARGV: owner, seconds. */
const KEEP_ALIVE = script(`${LOOK}
redis.call('EXPIRE', KEYS[1], ARGV[2])
return 'done'
`);

export async function open(context: ComponentContext): Promise<RedisLockStore> {
  const metadata = lockMetadataSchema.parse(context.metadata);
  return new RedisLockStore(await openConnection(metadata, context), placeOf(metadata));
}

/**
 * Locks on Redis or Valkey, in the form in which Dapr and Layotto keep them: a key with the owner that expires. So
 * their apps and ours keep each other out.
 *
 * The last token is kept in a key of its own, in the lock's slot of a cluster; the locks of a slot share it, so there
 * are at most as many as slots. A token is the server's time in microseconds, or one more than the last if that is
 * greater: so tokens also grow when the server has lost what it knew, be it by a restart or to a failover.
 *
 * Every change is confirmed by the replicas, as a STRONG write: a lock that was taken is not lost with the primary.
 */
export class RedisLockStore implements LockStore {
  constructor(
    private readonly connection: RedisConnection,
    readonly place: BackendPlace,
  ) {}

  async tryLock({ key, owner, expirySeconds }: TimedLockClaim): Promise<bigint | undefined> {
    const keys = [key, counterOf(key)];
    const taken = (token: string | null): boolean => token !== null;
    const token = await this.#evaluate(TRY_LOCK, keys, [owner, String(expirySeconds)], taken);
    return token === null ? undefined : BigInt(token);
  }

  async unlock({ key, owner }: LockClaim): Promise<LockOutcome> {
    return (await this.#evaluate(UNLOCK, [key], [owner], isDone)) as LockOutcome;
  }

  async keepAlive({ key, owner, expirySeconds }: TimedLockClaim): Promise<LockOutcome> {
    return (await this.#evaluate(KEEP_ALIVE, [key], [owner, String(expirySeconds)], isDone)) as LockOutcome;
  }

  probe(): Promise<void> {
    return this.connection.ping();
  }

  async close(): Promise<void> {
    this.connection.close();
  }

  async #evaluate(
    command: Script,
    keys: readonly string[],
    args: readonly string[],
    wrote: (answer: string | null) => boolean,
  ): Promise<string | null> {
    try {
      return await this.connection.runStrong(
        keys[0] ?? '',
        async (next) => (await evaluate(next, command, keys, args)) as string | null,
        wrote,
      );
    } catch (error) {
      throw lockError(error);
    }
  }
}

const isDone = (answer: string | null): boolean => answer === 'done';

/** Where the last token of a lock's slot is kept. */
function counterOf(key: string): string {
  return `lock-fencing:{${tagOf(slotOf(key))}}`;
}

/** What Redis answered is a failure of the operation; anything else means that it cannot be reached. */
function lockError(error: unknown): LockError {
  return error instanceof RedisUnavailable || error instanceof RedisUnconfirmed
    ? new LockError('unavailable', reasonOf(error), { cause: error })
    : new LockError('failed', refusalText(error), { cause: error });
}
