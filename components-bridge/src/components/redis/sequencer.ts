import type { BackendPlace, ComponentContext } from '../../primitives/component.js';
import { reasonOf } from '../../primitives/errors.js';
import { LAST_ID, SequencerError } from '../../primitives/sequencer/sequencer-store.js';
import type { SequencerStore } from '../../primitives/sequencer/sequencer-store.js';
import { openConnection, placeOf } from './connection.js';
import type { RedisConnection } from './connection.js';
import { RedisUnavailable, RedisUnconfirmed, refusalText } from './failure.js';
import { sequencerMetadataSchema } from './metadata.js';
import { evaluate, script } from './script.js';
import type { Script } from './script.js';

/** KEYS: counter. ARGV: how many ids. Returns the last of them, as text: a client reads numbers with 53 bits. */
const NEXT = script(`
redis.call('INCRBY', KEYS[1], ARGV[1])
return redis.call('GET', KEYS[1])
`);

/** KEYS: counter. ARGV: the least it may be, without a sign or leading zeros; Lua's numbers have 53 bits. */
const RAISE = script(`
redis.call('INCRBY', KEYS[1], 0)
local now, least = redis.call('GET', KEYS[1]), ARGV[1]
if string.sub(now, 1, 1) == '-' or #now < #least or (#now == #least and now < least) then
  redis.call('SET', KEYS[1], least)
end
return least
`);

export async function open(context: ComponentContext): Promise<RedisSequencer> {
  const metadata = sequencerMetadataSchema.parse(context.metadata);
  return new RedisSequencer(await openConnection(metadata, context), placeOf(metadata));
}

/**
 * Ids from counters on Redis or Valkey, as Layotto keeps them. Every step is confirmed by the replicas, as a STRONG
 * write: or ids would be given again after a failover.
 */
export class RedisSequencer implements SequencerStore {
  constructor(
    private readonly connection: RedisConnection,
    readonly place: BackendPlace,
  ) {}

  next(key: string): Promise<bigint> {
    return this.segment(key, 1);
  }

  async segment(key: string, count: number): Promise<bigint> {
    const first = BigInt(await this.#evaluate(NEXT, key, String(count))) - BigInt(count) + 1n;
    if (first >= 1n) return first;
    throw new SequencerError('failed', `the counter ${key} is negative; ids begin at 1`);
  }

  async raise(key: string, least: bigint): Promise<void> {
    await this.#evaluate(RAISE, key, String(least));
  }

  probe(): Promise<void> {
    return this.connection.ping();
  }

  async close(): Promise<void> {
    this.connection.close();
  }

  async #evaluate(command: Script, key: string, argument: string): Promise<string> {
    try {
      return await this.connection.runStrong(
        key,
        async (next) => (await evaluate(next, command, [key], [argument])) as string,
        () => true,
      );
    } catch (error) {
      throw sequencerError(error);
    }
  }
}

function sequencerError(error: unknown): SequencerError {
  if (error instanceof RedisUnavailable || error instanceof RedisUnconfirmed)
    return new SequencerError('unavailable', reasonOf(error), { cause: error });
  if (/would overflow/.test(reasonOf(error)))
    return new SequencerError('exhausted', `its ids are used up: none is above ${LAST_ID}`, { cause: error });
  return new SequencerError('failed', refusalText(error), { cause: error });
}
