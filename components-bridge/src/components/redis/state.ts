import type { Redis } from 'ioredis';

import type { ComponentContext } from '../../primitives/component.js';
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
import { RedisConnection } from './connection.js';
import { metadataSchema } from './metadata.js';
import { SCRIPTS } from './scripts.js';

/** The client with the scripts of SCRIPTS as commands. */
interface Scripted extends Redis {
  layottoSave(key: string, value: Buffer, demand: string, ttl: string): Promise<string | null>;
  layottoDelete(key: string, demand: string): Promise<string | null>;
  layottoTransact(keys: number, ...rest: (string | Buffer)[]): Promise<string | null>;
}

export async function open(context: ComponentContext): Promise<RedisStateStore> {
  const metadata = metadataSchema.parse(context.metadata);
  const connection = await RedisConnection.open(metadata, context);
  return new RedisStateStore(connection, metadata.ttlInSeconds);
}

/** State on one Redis or Valkey, in the form in which Dapr and Layotto keep it; see scripts.ts. */
export class RedisStateStore implements StateStore {
  readonly features: ReadonlySet<StateFeature> = new Set(['ETAG', 'TRANSACTIONAL', 'TTL']);

  /** @param defaultTtl seconds until values expire that are saved without a time of their own; undefined: never */
  constructor(
    private readonly connection: RedisConnection,
    private readonly defaultTtl: number | undefined,
  ) {
    connection.define(SCRIPTS);
  }

  async get(key: string): Promise<StateValue | undefined> {
    try {
      const [data, version] = await this.#client.hmgetBuffer(key, 'data', 'version');
      if (!data && !version) return undefined;
      return { data: data ?? NO_BYTES, etag: version?.toString('latin1') ?? '' };
    } catch (error) {
      if (!reasonOf(error).startsWith('WRONGTYPE')) throw this.#failure(error);
    }
    return this.#getPlain(key);
  }

  async set(write: StateWrite): Promise<void> {
    const demand = demandOfWrite(write);
    const answer = await this.#run((client) =>
      client.layottoSave(write.key, asBuffer(write.value), demandText(demand), this.#ttl(write)),
    );
    if (answer !== null) throw refusal(answer, write.key, demand);
  }

  async delete(removal: StateRemoval): Promise<void> {
    const demand = demandOfRemoval(removal);
    if (demand === undefined) {
      await this.#run((client) => client.del(removal.key));
      return;
    }
    const answer = await this.#run((client) => client.layottoDelete(removal.key, demandText(demand)));
    if (answer !== null) throw refusal(answer, removal.key, demand);
  }

  async transact(operations: readonly StateOperation[]): Promise<void> {
    const demands = operations.map((operation) =>
      operation.kind === 'upsert' ? demandOfWrite(operation) : demandOfRemoval(operation),
    );
    const args: (string | Buffer)[] = operations.map(({ key }) => key);
    operations.forEach((operation, index) => {
      const demand = demandText(demands[index]);
      if (operation.kind === 'delete') args.push('d', '', demand, '');
      else args.push('s', asBuffer(operation.value), demand, this.#ttl(operation));
    });
    const answer = await this.#run((client) => client.layottoTransact(operations.length, ...args));
    if (answer === null) return;
    const space = answer.indexOf(' ');
    const index = Number(answer.slice(0, space));
    throw refusal(answer.slice(space + 1), operations[index]?.key ?? '', demands[index]);
  }

  async close(): Promise<void> {
    this.connection.close();
  }

  get #client(): Scripted {
    return this.connection.client as Scripted;
  }

  #ttl({ ttlSeconds = this.defaultTtl }: StateWrite): string {
    return ttlSeconds === undefined ? '' : String(ttlSeconds);
  }

  /** A value that was not saved as state: a plain string. */
  async #getPlain(key: string): Promise<StateValue | undefined> {
    const data = await this.#run((client) => client.getBuffer(key));
    return data === null ? undefined : { data, etag: '' };
  }

  async #run<Result>(command: (client: Scripted) => Promise<Result>): Promise<Result> {
    try {
      return await command(this.#client);
    } catch (error) {
      throw this.#failure(error);
    }
  }

  /** What Redis answered is a failure of the operation; anything else means that it cannot be reached. */
  #failure(error: unknown): StateError {
    const reason = reasonOf(error);
    const answered = error instanceof Error && error.name === 'ReplyError';
    // Answers by which a server says that it is not (yet, or any more) the one to ask.
    if (answered && !/^(LOADING|MASTERDOWN|READONLY|CLUSTERDOWN|BUSY) /.test(reason))
      return new StateError('failed', reason);
    return new StateError(
      'unavailable',
      answered ? `${this.connection.address}: ${reason}` : this.connection.lostReason,
    );
  }
}

const NO_BYTES = Buffer.alloc(0);

/** ioredis takes a Buffer as it is, and any other array as text. */
function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function demandText(demand: Demand): string {
  return demand === undefined ? '' : demand === 'absent' ? '+' : demand.version;
}

/** A script's refusal; see scripts.ts. */
function refusal(answer: string, key: string, demand: Demand): StateError {
  if (answer === '+') return exists(key);
  return mismatch(key, typeof demand === 'object' ? demand.version : '', answer.slice(1));
}
