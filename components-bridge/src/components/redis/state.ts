import type { BackendPlace, ComponentContext } from '../../primitives/component.js';
import { reasonOf } from '../../primitives/errors.js';
import { demandOfRemoval, demandOfWrite, exists, mismatch } from '../../primitives/state/etag.js';
import type { Demand } from '../../primitives/state/etag.js';
import { StateError } from '../../primitives/state/store.js';
import type {
  StateFeature,
  StateOperation,
  StateRemoval,
  StateStore,
  StateValue,
  StateWrite,
} from '../../primitives/state/store.js';
import { openConnection, placeOf } from './connection.js';
import type { RedisConnection } from './connection.js';
import { answerCode, RedisUnavailable, RedisUnconfirmed, refusalText } from './failure.js';
import { metadataSchema } from './metadata.js';
import type { Command } from './node.js';
import { evaluate } from './script.js';
import type { Script } from './script.js';
import { SCRIPTS } from './state-scripts.js';

export async function open(context: ComponentContext): Promise<RedisStateStore> {
  const metadata = metadataSchema.parse(context.metadata);
  const connection = await openConnection(metadata, context, metadata.nearCacheMaxAge !== undefined);
  return new RedisStateStore(connection, metadata.ttlInSeconds, placeOf(metadata));
}

/** State on Redis or Valkey, in the form in which Dapr and Layotto keep it; see state-scripts.ts. */
export class RedisStateStore implements StateStore {
  readonly features: ReadonlySet<StateFeature> = new Set(['ETAG', 'TRANSACTIONAL', 'TTL']);

  /** @param defaultTtl seconds until values expire that are saved without a time of their own; undefined: never */
  constructor(
    private readonly connection: RedisConnection,
    private readonly defaultTtl: number | undefined,
    readonly place: BackendPlace,
  ) {}

  async get(key: string): Promise<StateValue | undefined> {
    try {
      const [data, version] = await this.connection.read(key, (next) =>
        next().hmgetBuffer(key, 'data', 'version'),
      );
      if (!data && !version) return undefined;
      return { data: data ?? NO_BYTES, etag: version?.toString('latin1') ?? '' };
    } catch (error) {
      if (answerCode(error) !== 'WRONGTYPE') throw stateError(error);
    }
    return this.#getPlain(key);
  }

  async set(write: StateWrite): Promise<void> {
    const demand = demandOfWrite(write);
    const args = [asBuffer(write.value), demandText(demand), this.#ttl(write)];
    const answer = await this.#evaluate(SCRIPTS.save, [write.key], args, write.strong);
    if (answer !== null) throw refusal(answer, write.key, demand);
  }

  async delete({ key, etag, strong }: StateRemoval): Promise<void> {
    const demand = demandOfRemoval({ etag });
    if (demand === undefined) {
      await this.#write(key, (next) => next().del(key), isOne, strong);
      return;
    }
    const answer = await this.#evaluate(SCRIPTS.delete, [key], [demandText(demand)], strong);
    if (answer !== null) throw refusal(answer, key, demand);
  }

  async transact(operations: readonly StateOperation[]): Promise<void> {
    const demands = operations.map((operation) =>
      operation.kind === 'upsert' ? demandOfWrite(operation) : demandOfRemoval(operation),
    );
    const keys = operations.map(({ key }) => key);
    if (!this.connection.together(keys)) throw apart(keys);
    const args = operations.flatMap((operation, index): (string | Buffer)[] => {
      const demand = demandText(demands[index]);
      if (operation.kind === 'delete') return ['d', '', demand, ''];
      return ['s', asBuffer(operation.value), demand, this.#ttl(operation)];
    });
    const strong = operations.some((operation) => operation.strong);
    const answer = await this.#evaluate(SCRIPTS.transact, keys, args, strong);
    if (answer === null) return;
    const space = answer.indexOf(' ');
    const index = Number(answer.slice(0, space));
    throw refusal(answer.slice(space + 1), keys[index] ?? '', demands[index]);
  }

  probe(): Promise<void> {
    return this.connection.ping();
  }

  async close(): Promise<void> {
    this.connection.close();
  }

  #ttl({ ttlSeconds = this.defaultTtl }: StateWrite): string {
    return ttlSeconds === undefined ? '' : String(ttlSeconds);
  }

  /** A value that was not saved as state: a plain string. */
  async #getPlain(key: string): Promise<StateValue | undefined> {
    try {
      const data = await this.connection.read(key, (next) => next().getBuffer(key));
      return data === null ? undefined : { data, etag: '' };
    } catch (error) {
      throw stateError(error);
    }
  }

  /** The answer of a script: null if it is done, else a refusal. */
  #evaluate(
    script: Script,
    keys: readonly string[],
    args: readonly (string | Buffer)[],
    strong = false,
  ): Promise<string | null> {
    const command: Command<string | null> = async (next) => {
      return (await evaluate(next, script, keys, args)) as string | null;
    };
    return this.#write(keys[0] ?? '', command, isDone, strong);
  }

  async #write<Result>(
    key: string,
    command: Command<Result>,
    wrote: (result: Result) => boolean,
    strong = false,
  ): Promise<Result> {
    try {
      if (strong) return await this.connection.runStrong(key, command, wrote);
      return await this.connection.run(key, command);
    } catch (error) {
      throw stateError(error);
    }
  }
}

const NO_BYTES = Buffer.alloc(0);

const isDone = (answer: string | null): boolean => answer === null;
const isOne = (deleted: number): boolean => deleted === 1;

/** ioredis takes a Buffer as it is, and any other array as text. */
function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function demandText(demand: Demand): string {
  return demand === undefined ? '' : demand === 'absent' ? '+' : demand.version;
}

/** A script's refusal; see state-scripts.ts. */
function refusal(answer: string, key: string, demand: Demand): StateError {
  if (answer === '+') return exists(key);
  return mismatch(key, typeof demand === 'object' ? demand.version : '', answer.slice(1));
}

function apart(keys: readonly string[]): StateError {
  const [first = ''] = keys;
  return new StateError(
    'apart',
    'the keys of a transaction are in different slots of the Redis Cluster, which cannot change them together; ' +
      `give them the same text in braces, a hash tag, such as {order-7}${first.slice(first.lastIndexOf('|') + 1)}`,
  );
}

/** What Redis answered is a failure of the operation; anything else means that it cannot be reached. */
function stateError(error: unknown): StateError {
  const reason = reasonOf(error);
  if (error instanceof RedisUnavailable) return new StateError('unavailable', reason);
  if (error instanceof RedisUnconfirmed) return new StateError('unconfirmed', reason);
  return new StateError('failed', refusalText(error));
}
