import type { BackendPlace, ComponentContext } from '../../primitives/component.js';
import { LockError } from '../../primitives/lock/lock-store.js';
import type { LockClaim, LockOutcome, LockStore, TimedLockClaim } from '../../primitives/lock/lock-store.js';
import { EmbeddedDatabase, EmbeddedError } from './database.js';
import { lockMetadataSchema } from './metadata.js';
import { ownKey, recordKey } from './record.js';
import type { RecordKey, StoredRecord } from './record.js';

/** The last fencing token, of whatever lock: one number grows for all, so that locks that are gone leave nothing. */
const LAST_TOKEN = ownKey('last-token');

export async function open(context: ComponentContext): Promise<EmbeddedLockStore> {
  const { path } = lockMetadataSchema.parse(context.metadata);
  return new EmbeddedLockStore(await EmbeddedDatabase.open(context, 'lock', path));
}

/**
 * Locks in the bridge's own process: a record per lock that is held, with its owner, removed by the database once it
 * has expired.
 *
 * A token is the time in microseconds at which the lock was taken, or one more than the last token if that is greater:
 * so tokens also grow when the store's folder was lost.
 */
export class EmbeddedLockStore implements LockStore {
  readonly place: BackendPlace = { system: 'lmdb' };

  constructor(readonly database: EmbeddedDatabase) {}

  async tryLock({ key, owner, expirySeconds }: TimedLockClaim): Promise<bigint | undefined> {
    const record = recordKey(key);
    const { database } = this;
    // Who comes too late costs no commit.
    if (this.#look(record) !== undefined) return undefined;
    return this.#write(() => {
      if (database.read(record) !== undefined) return undefined;
      const now = Date.now();
      const last = database.read(LAST_TOKEN);
      const token = greater((last?.data.readBigInt64BE() ?? 0n) + 1n, BigInt(now) * 1000n);
      const data = Buffer.alloc(8);
      data.writeBigInt64BE(token);
      database.put(LAST_TOKEN, last, { version: 1, expiresAt: 0, data });
      const expiresAt = now + expirySeconds * 1000;
      database.put(record, undefined, { version: 1, expiresAt, data: Buffer.from(owner) });
      return token;
    });
  }

  async unlock({ key, owner }: LockClaim): Promise<LockOutcome> {
    const record = recordKey(key);
    return this.#change(record, owner, () => this.database.remove(record));
  }

  async keepAlive({ key, owner, expirySeconds }: TimedLockClaim): Promise<LockOutcome> {
    const record = recordKey(key);
    return this.#change(record, owner, (held) => {
      const expiresAt = Date.now() + expirySeconds * 1000;
      this.database.put(record, held, { ...held, expiresAt });
    });
  }

  probe(): Promise<void> {
    return this.database.probe();
  }

  close(): Promise<void> {
    return this.database.close();
  }

  /** Changes a lock that the owner holds. */
  async #change(
    record: RecordKey,
    owner: string,
    change: (held: StoredRecord) => void,
  ): Promise<LockOutcome> {
    const seen = outcomeOf(this.#look(record), owner);
    if (seen !== 'done') return seen;
    return this.#write(() => {
      const held = this.database.read(record);
      const outcome = outcomeOf(held, owner);
      if (held !== undefined && outcome === 'done') change(held);
      return outcome;
    });
  }

  #look(record: RecordKey): StoredRecord | undefined {
    try {
      return this.database.get(record);
    } catch (error) {
      throw lockError(error);
    }
  }

  async #write<Result>(perform: () => Result): Promise<Result> {
    try {
      return await this.database.write(perform);
    } catch (error) {
      throw lockError(error);
    }
  }
}

function greater(one: bigint, other: bigint): bigint {
  return one > other ? one : other;
}

function outcomeOf(held: StoredRecord | undefined, owner: string): LockOutcome {
  if (held === undefined) return 'absent';
  return held.data.equals(Buffer.from(owner)) ? 'done' : 'others';
}

function lockError(error: unknown): unknown {
  return error instanceof EmbeddedError ? new LockError(error.kind, error.message) : error;
}
