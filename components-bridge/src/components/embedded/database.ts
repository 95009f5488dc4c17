import { statSync } from 'node:fs';
import { mkdir, open as openFile, stat } from 'node:fs/promises';
import { endianness } from 'node:os';
import { join, resolve } from 'node:path';

import { ABORT, open as openLmdb } from 'lmdb';
import type { Database, RootDatabase } from 'lmdb';
import type { Logger } from 'pino';

import type { ComponentContext } from '../../primitives/component.js';
import { reasonOf } from '../../primitives/errors.js';
import {
  decodeAnyRecord,
  decodeRecord,
  encodeRecord,
  expiryKey,
  expiryOf,
  rangesOf,
  recordKey,
  splitExpiryKey,
} from './record.js';
import type { RecordKey, StoredRecord } from './record.js';

/** How often expired records are looked for, and how many go in one transaction. */
const SWEEP_EVERY_MS = 1_000;
const SWEEP_STEP = 256;

/** How many bytes of values one commit takes, so that a commit stays short. */
const COMMIT_BYTES = 16 * 1024 * 1024;

/** Looked for to see whether reading works; whether it is there does not matter. */
const PROBED_KEY = recordKey('health');

/** A commit must be on disk when its promise resolves, so it may not overlap with the next one. */
const TABLE_OPTIONS = { keyEncoding: 'binary', encoding: 'binary', overlappingSync: false } as const;

const EMPTY = Buffer.alloc(0);
const DATA_FILE = 'data.mdb';

/** lmdb's magic number, at byte 24 of its files. */
const MAGIC = 0xbeefc0de;

/** Why the database did not do what it was asked; nothing was changed then. */
export class EmbeddedError extends Error {
  override name = 'EmbeddedError';

  constructor(
    readonly kind: 'unavailable' | 'failed',
    message: string,
  ) {
    super(message);
  }
}

/** A record to keep. */
export type NewRecord = Omit<StoredRecord, 'data'> & { data: Uint8Array };

/** What is to be done in a commit, and whom to tell. */
interface Job {
  /** Bytes of the values that it writes, about. */
  bytes: number;
  perform: () => unknown;
  resolve: (result: unknown) => void;
  reject: (error: unknown) => void;
}

/**
 * A durable database in the bridge's own process, on lmdb: records that may expire. Reads come straight from the memory
 * map. Writes that arrive while a commit runs share the next one; each is acknowledged once its commit is on disk.
 */
export class EmbeddedDatabase {
  /** Those of this process, by their files. */
  static readonly #all = new Map<string, EmbeddedDatabase>();
  readonly #root: RootDatabase<Buffer, Buffer>;
  readonly #tables = new Map<string, Database<Buffer, Buffer>>();
  readonly #records: Database<Buffer, Buffer>;
  readonly #expiries: Database<Buffer, Buffer>;
  readonly #sweeper: NodeJS.Timeout;
  #queue: Job[] = [];
  #working: Promise<void> | undefined;
  #sweeping = false;
  #commits = 0;
  #closed = false;
  #closing: Promise<void> | undefined;
  /** What this turn reads from was opened in this turn. */
  #current = false;
  /** Of the file that was opened. */
  #inode = 0;
  /** How many have it open. */
  #users = 1;

  private constructor(
    private readonly file: string,
    private readonly log: Logger,
  ) {
    this.#root = openLmdb<Buffer, Buffer>(file, { ...TABLE_OPTIONS, maxDbs: 4, noSubdir: true });
    this.#records = this.table('records');
    this.#expiries = this.table('expiries');
    this.#sweeper = setInterval(() => void this.#sweep(), SWEEP_EVERY_MS);
    this.#sweeper.unref();
  }

  /**
   * Opens a component's database, whose folder is made if it is not there. Those who open the same file have the same
   * database, as when new settings of a component take the place of old ones: to open it once more, lmdb waits for a
   * commit that is under way, and that would wait for this very thread.
   *
   * @param primitive names the folder of all such components in the data folder
   * @param path another folder, if the component has one
   */
  static async open(
    context: Pick<ComponentContext, 'name' | 'dataDir' | 'log'>,
    primitive: string,
    path: string | undefined,
  ): Promise<EmbeddedDatabase> {
    // A component may be called "..", and its name becomes a folder here.
    const folder = context.name.replace(/^\.+$/, (dots) => '%2E'.repeat(dots.length));
    const dir = path === undefined ? join(context.dataDir, primitive, folder) : resolve(path);
    await mkdir(dir, { recursive: true, mode: 0o700 });
    const file = join(dir, DATA_FILE);
    await checkFile(file);
    let there = EmbeddedDatabase.#all.get(file);
    while (there !== undefined && there.#closing !== undefined) {
      await there.#closing;
      there = EmbeddedDatabase.#all.get(file);
    }
    if (there !== undefined && there.#inode === inodeOf(file)) {
      there.#users++;
      return there;
    }
    const database = new EmbeddedDatabase(file, context.log);
    database.#inode = inodeOf(file);
    EmbeddedDatabase.#all.set(file, database);
    return database;
  }

  /** A record, unless it has expired, as it stands at this moment. */
  get(key: RecordKey): StoredRecord | undefined {
    this.lookAnew();
    return this.read(key);
  }

  /**
   * The records whose keys begin with a text, as they stand at this moment, and those whose keys are too long to be
   * looked for in this way; except expired ones.
   */
  *scan(start: string): Iterable<StoredRecord> {
    this.lookAnew();
    const now = Date.now();
    for (const range of rangesOf(start)) {
      for (const { value } of this.#records.getRange(range)) {
        const { record } = decodeAnyRecord(value);
        if (record.expiresAt === 0 || record.expiresAt > now) yield record;
      }
    }
  }

  /**
   * A table beside the records, whose owner reads it as it likes, after `lookAnew`, and changes it in `write` only.
   *
   * @param name not `records` or `expiries`
   */
  table(name: string): Database<Buffer, Buffer> {
    const opened = this.#tables.get(name) ?? this.#root.openDB<Buffer, Buffer>(name, TABLE_OPTIONS);
    this.#tables.set(name, opened);
    return opened;
  }

  /** A number that changes with each commit, whichever process made it. */
  get lastCommit(): number {
    return (this.#root.getStats() as { lastTxnId: number }).lastTxnId;
  }

  /**
   * Has changes made, by `read`, `put` and `remove`.
   *
   * @param perform called in a later turn. If it throws, what it has changed by then stays changed: let it throw
   *   first, or work in `atomically`
   * @param bytes of the values that it writes, about
   * @returns its result, once it is on disk
   * @throws what it threw; EmbeddedError
   */
  write<Result>(perform: () => Result, bytes = 0): Promise<Result> {
    if (this.#closed) return Promise.reject(new EmbeddedError('unavailable', 'the store is closed'));
    return new Promise<Result>((resolve, reject) => {
      this.#queue.push({ bytes, perform, resolve: resolve as Job['resolve'], reject });
      this.#working ??= this.#work();
    });
  }

  /** In a write: does all of it, each step seeing those before it, or throws and has done nothing. */
  atomically(perform: () => void): void {
    let failed: { error: unknown } | undefined;
    this.#root.transactionSync(() => {
      try {
        perform();
        return undefined;
      } catch (error) {
        failed = { error };
        return ABORT;
      }
    });
    if (failed !== undefined) throw failed.error;
  }

  /** In a write: the record, unless it has expired. */
  read(key: RecordKey): StoredRecord | undefined {
    const bytes = this.#records.getBinary(key.bytes);
    const record = bytes === undefined ? undefined : decodeRecord(key, bytes);
    return record !== undefined && record.expiresAt > 0 && record.expiresAt <= Date.now()
      ? undefined
      : record;
  }

  /** In a write: puts a record in the place of what `read` found there. */
  put(key: RecordKey, before: StoredRecord | undefined, record: NewRecord): void {
    const { version, expiresAt, data } = record;
    const expiredAt = before?.expiresAt ?? 0;
    if (expiresAt !== expiredAt) {
      this.#forgetExpiry(key, expiredAt);
      if (expiresAt > 0) void this.#expiries.put(expiryKey(expiresAt, key.bytes), EMPTY);
    }
    void this.#records.put(key.bytes, encodeRecord(key, version, expiresAt, data));
  }

  /** In a write: removes whatever stands there. */
  remove(key: RecordKey): void {
    const stored = this.#records.getBinary(key.bytes);
    if (stored === undefined) return;
    this.#forgetExpiry(key, expiryOf(stored));
    void this.#records.remove(key.bytes);
  }

  /** Finishes what it was given, and takes nothing more once nobody else has it open. */
  close(): Promise<void> {
    if (--this.#users > 0) return this.#working ?? Promise.resolve();
    this.#closed = true;
    clearInterval(this.#sweeper);
    this.#closing = this.#end();
    return this.#closing;
  }

  async #end(): Promise<void> {
    try {
      await this.#working;
      await this.#root.close();
    } finally {
      if (EmbeddedDatabase.#all.get(this.file) === this) EmbeddedDatabase.#all.delete(this.file);
    }
  }

  /**
   * Makes reads of this turn see what stands now. While one bridge takes over from another, both have the database open.
   * lmdb keeps what a read saw for about a millisecond, in which the other may have acknowledged a write.
   */
  lookAnew(): void {
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
    for (const job of this.#queue) {
      bytes += job.bytes;
      if (count > 0 && bytes > COMMIT_BYTES) break;
      count++;
    }
    return this.#queue.splice(0, count);
  }

  async #commit(batch: readonly Job[]): Promise<void> {
    this.#commits++;
    const outcomes = new Map<Job, { result: unknown } | { error: unknown }>();
    try {
      await this.#root.transaction(() => {
        for (const job of batch) {
          try {
            outcomes.set(job, { result: job.perform() });
          } catch (error) {
            outcomes.set(job, { error });
          }
        }
      });
    } catch (error) {
      const failure = new EmbeddedError('failed', `the commit failed: ${reasonOf(error)}`);
      for (const job of batch) job.reject(failure);
      return;
    }
    for (const job of batch) {
      const outcome = outcomes.get(job);
      if (outcome === undefined || 'error' in outcome) job.reject(outcome?.error);
      else job.resolve(outcome.result);
    }
  }

  #forgetExpiry(key: RecordKey, expiresAt: number): void {
    if (expiresAt > 0) void this.#expiries.remove(expiryKey(expiresAt, key.bytes));
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
      this.log.warn({ reason: reasonOf(error) }, 'removing expired keys failed');
    } finally {
      this.#sweeping = false;
    }
  }

  /**
   * Removes the first records that had expired at `now`.
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

  /**
   * Looks whether it can be read, and whether its file is still where it was opened: what is written to a file that was
   * removed is lost with the process.
   *
   * @throws Error that says why not
   */
  async probe(): Promise<void> {
    const { ino } = await stat(this.file);
    if (ino !== this.#inode)
      throw new Error(
        `${this.file} is not the file that was opened; what is written is lost with the bridge`,
      );
    this.get(PROBED_KEY);
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

/** 0 if there is no such file. */
function inodeOf(file: string): number {
  return statSync(file, { throwIfNoEntry: false })?.ino ?? 0;
}

/** @throws Error if the file is there and is not lmdb's: lmdb itself would crash the process over it */
async function checkFile(path: string): Promise<void> {
  const file = await openFile(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  if (file === undefined) return;
  try {
    const head = Buffer.alloc(28);
    const { bytesRead } = await file.read(head, 0, head.length, 0);
    if (bytesRead === 0) return;
    const magic = endianness() === 'LE' ? head.readUInt32LE(24) : head.readUInt32BE(24);
    if (bytesRead < head.length || magic !== MAGIC) {
      throw new Error(`${path} is not a store of this runtime; move it away, or set another path`);
    }
  } finally {
    await file.close();
  }
}
