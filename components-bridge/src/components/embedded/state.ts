import { join } from 'node:path';

import { ABORT, open as openLmdb } from 'lmdb';
import type { Database, RootDatabase } from 'lmdb';

import type { BackendPlace, ComponentContext } from '../../primitives/component.js';
import { reasonOf } from '../../primitives/errors.js';
import { check, demandOfRemoval, demandOfWrite } from '../../primitives/state/etag.js';
import { StateError } from '../../primitives/state/store.js';
import type {
  StateFeature,
  StateOperation,
  StateRemoval,
  StateStore,
  StateValue,
  StateWrite,
} from '../../primitives/state/store.js';
import { DATA_FILE, storeFolder } from './folder.js';
import { metadataSchema } from './metadata.js';
import { decodeRecord, encodeRecord, expiryKey, expiryOf, recordKey, splitExpiryKey } from './record.js';
import type { RecordKey, StoredRecord } from './record.js';

/** How often expired keys are looked for, and how many go in one transaction. */
const SWEEP_EVERY_MS = 1_000;
const SWEEP_STEP = 256;

/** How many bytes of values one commit takes, so that a commit stays short. */
const COMMIT_BYTES = 16 * 1024 * 1024;

const EMPTY = Buffer.alloc(0);

/** Opens the store in its folder, which is made if it is not there. */
export async function open(context: ComponentContext): Promise<EmbeddedStateStore> {
  const { path } = metadataSchema.parse(context.metadata);
  return new EmbeddedStateStore(await storeFolder(context, 'state', path), context);
}

/** Operations to do together or not at all, and whom to tell. */
interface Job {
  operations: readonly StateOperation[];
  resolve: () => void;
  reject: (error: unknown) => void;
}

/**
 * A durable store in the bridge's own process, on lmdb. Reads come straight from the memory map. Writes that arrive
 * while a commit runs share the next one; each is acknowledged once its commit is on disk.
 */
export class EmbeddedStateStore implements StateStore {
  readonly features: ReadonlySet<StateFeature> = new Set(['ETAG', 'TRANSACTIONAL', 'TTL']);
  readonly place: BackendPlace = { system: 'lmdb' };
  readonly #root: RootDatabase<Buffer, Buffer>;
  readonly #records: Database<Buffer, Buffer>;
  readonly #expiries: Database<Buffer, Buffer>;
  readonly #sweeper: NodeJS.Timeout;
  #queue: Job[] = [];
  #working: Promise<void> | undefined;
  #sweeping = false;
  #commits = 0;
  #closed = false;
  /** What this turn reads from was opened in this turn. */
  #current = false;

  constructor(
    dir: string,
    private readonly context: Pick<ComponentContext, 'log'>,
  ) {
    // A commit must be on disk when its promise resolves, so it may not overlap with the next one.
    const options = { keyEncoding: 'binary', encoding: 'binary', overlappingSync: false } as const;
    this.#root = openLmdb<Buffer, Buffer>(join(dir, DATA_FILE), { ...options, maxDbs: 4, noSubdir: true });
    this.#records = this.#root.openDB<Buffer, Buffer>('records', options);
    this.#expiries = this.#root.openDB<Buffer, Buffer>('expiries', options);
    this.#sweeper = setInterval(() => void this.#sweep(), SWEEP_EVERY_MS);
    this.#sweeper.unref();
  }

  async get(key: string): Promise<StateValue | undefined> {
    this.#lookAnew();
    const record = this.#read(recordKey(key));
    return record && { data: record.data, etag: String(record.version) };
  }

  set(write: StateWrite): Promise<void> {
    return this.transact([{ kind: 'upsert', ...write }]);
  }

  delete(removal: StateRemoval): Promise<void> {
    return this.transact([{ kind: 'delete', ...removal }]);
  }

  transact(operations: readonly StateOperation[]): Promise<void> {
    if (this.#closed) return Promise.reject(new StateError('unavailable', 'the store is closed'));
    return new Promise((resolve, reject) => {
      this.#queue.push({ operations, resolve, reject });
      this.#working ??= this.#work();
    });
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearInterval(this.#sweeper);
    await this.#working;
    await this.#root.close();
  }

  /**
   * While one bridge takes over from another, both have the store open. lmdb keeps what a read saw for about a
   * millisecond, in which the other may have acknowledged a write; so each turn reads anew.
   */
  #lookAnew(): void {
    if (this.#current) return;
    this.#current = true;
    this.#root.resetReadTxn();
    queueMicrotask(() => (this.#current = false));
  }

  /** Commits what is queued, a batch at a time, until nothing is left. */
  async #work(): Promise<void> {
    // What comes in during this turn belongs to the first batch.
    await new Promise(setImmediate);
    while (this.#queue.length > 0) await this.#commit(this.#takeBatch());
    this.#working = undefined;
  }

  #takeBatch(): Job[] {
    let bytes = 0;
    let count = 0;
    for (const { operations } of this.#queue) {
      for (const operation of operations) bytes += operation.kind === 'upsert' ? operation.value.length : 0;
      if (count > 0 && bytes > COMMIT_BYTES) break;
      count++;
    }
    return this.#queue.splice(0, count);
  }

  async #commit(batch: readonly Job[]): Promise<void> {
    this.#commits++;
    const refused = new Map<Job, unknown>();
    try {
      await this.#root.transaction(() => {
        for (const job of batch) {
          try {
            this.#perform(job.operations);
          } catch (error) {
            refused.set(job, error);
          }
        }
      });
    } catch (error) {
      const failure = new StateError('failed', `the commit failed: ${reasonOf(error)}`);
      for (const job of batch) job.reject(failure);
      return;
    }
    for (const job of batch) {
      if (refused.has(job)) job.reject(refused.get(job));
      else job.resolve();
    }
  }

  /** Inside a write transaction: all operations, or an error and none. */
  #perform(operations: readonly StateOperation[]): void {
    const single = operations.length === 1 ? operations[0] : undefined;
    if (single !== undefined) {
      this.#apply(single);
      return;
    }
    // A transaction of its own inside the batch's: an operation sees those before it, and an error undoes them.
    let failed: Error | undefined;
    this.#root.transactionSync(() => {
      try {
        for (const operation of operations) this.#apply(operation);
        return undefined;
      } catch (error) {
        failed = error as Error;
        return ABORT;
      }
    });
    if (failed !== undefined) throw failed;
  }

  #apply(operation: StateOperation): void {
    const key = recordKey(operation.key);
    const record = this.#read(key);
    const version = record === undefined ? undefined : String(record.version);
    if (operation.kind === 'delete') {
      check(demandOfRemoval(operation), version, operation.key);
      const stored = this.#records.getBinary(key.bytes);
      if (stored === undefined) return;
      this.#forgetExpiry(key, expiryOf(stored));
      void this.#records.remove(key.bytes);
      return;
    }
    check(demandOfWrite(operation), version, operation.key);
    const { ttlSeconds } = operation;
    const before = record?.expiresAt ?? 0;
    const expiresAt = ttlSeconds === undefined ? before : ttlSeconds > 0 ? Date.now() + ttlSeconds * 1000 : 0;
    if (expiresAt !== before) {
      this.#forgetExpiry(key, before);
      if (expiresAt > 0) void this.#expiries.put(expiryKey(expiresAt, key.bytes), EMPTY);
    }
    const next = (record?.version ?? 0) + 1;
    void this.#records.put(key.bytes, encodeRecord(key, next, expiresAt, operation.value));
  }

  #forgetExpiry(key: RecordKey, expiresAt: number): void {
    if (expiresAt > 0) void this.#expiries.remove(expiryKey(expiresAt, key.bytes));
  }

  /** The record, unless it has expired. */
  #read(key: RecordKey): StoredRecord | undefined {
    const bytes = this.#records.getBinary(key.bytes);
    const record = bytes === undefined ? undefined : decodeRecord(key, bytes);
    return record !== undefined && record.expiresAt > 0 && record.expiresAt <= Date.now()
      ? undefined
      : record;
  }

  /** Removes what has expired, a bounded step at a time, so that reads and writes come in between. */
  async #sweep(): Promise<void> {
    if (this.#sweeping) return;
    this.#sweeping = true;
    try {
      let found: number;
      do {
        found = this.#closed ? 0 : await this.sweepStep(Date.now());
      } while (found === SWEEP_STEP);
    } catch (error) {
      this.context.log.warn({ reason: reasonOf(error) }, 'removing expired keys failed');
    } finally {
      this.#sweeping = false;
    }
  }

  /**
   * Removes the first keys that had expired at `now`.
   *
   * @returns how many; less than a step's worth when none are left
   */
  async sweepStep(now: number): Promise<number> {
    // Copied out of the cursor first: removing moves what it points at.
    const end = expiryKey(now + 1, EMPTY);
    const due = [...this.#expiries.getKeys({ end, limit: SWEEP_STEP })];
    if (due.length === 0) return 0;
    await this.#root.transaction(() => {
      for (const bytes of due) {
        const { expiresAt, key } = splitExpiryKey(bytes);
        const record = this.#records.getBinary(key);
        if (record !== undefined && expiryOf(record) === expiresAt) void this.#records.remove(key);
        void this.#expiries.remove(bytes);
      }
    });
    return due.length;
  }

  /** How many commits of writes there were. */
  get commits(): number {
    return this.#commits;
  }

  /** How many records are kept, expired ones included. */
  get size(): number {
    return (this.#records.getStats() as { entryCount: number }).entryCount;
  }
}
