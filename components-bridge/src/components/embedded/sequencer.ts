import type { BackendPlace, ComponentContext } from '../../primitives/component.js';
import { exhausted, LAST_ID, SequencerError } from '../../primitives/sequencer/sequencer-store.js';
import type { SequencerStore } from '../../primitives/sequencer/sequencer-store.js';
import { EmbeddedDatabase, EmbeddedError } from './database.js';
import { sequencerMetadataSchema } from './metadata.js';
import { recordKey } from './record.js';
import type { RecordKey } from './record.js';

export async function open(context: ComponentContext): Promise<EmbeddedSequencer> {
  const { path } = sequencerMetadataSchema.parse(context.metadata);
  return new EmbeddedSequencer(await EmbeddedDatabase.open(context, 'sequencer', path));
}

/** Ids from the bridge's own process: a record per key with the last id, on disk before the id is given. */
export class EmbeddedSequencer implements SequencerStore {
  readonly place: BackendPlace = { system: 'lmdb' };

  constructor(private readonly database: EmbeddedDatabase) {}

  next(key: string): Promise<bigint> {
    return this.segment(key, 1);
  }

  segment(key: string, count: number): Promise<bigint> {
    const record = recordKey(key);
    return this.#write(() => {
      const last = this.#last(record);
      const next = last + BigInt(count);
      if (next > LAST_ID) throw exhausted(last);
      this.#set(record, next);
      return last + 1n;
    });
  }

  raise(key: string, least: bigint): Promise<void> {
    const record = recordKey(key);
    return this.#write(() => {
      if (this.#last(record) < least) this.#set(record, least);
    });
  }

  probe(): Promise<void> {
    return this.database.probe();
  }

  close(): Promise<void> {
    return this.database.close();
  }

  #last(record: RecordKey): bigint {
    return this.database.read(record)?.data.readBigInt64BE() ?? 0n;
  }

  #set(record: RecordKey, id: bigint): void {
    const data = Buffer.alloc(8);
    data.writeBigInt64BE(id);
    this.database.put(record, undefined, { version: 1, expiresAt: 0, data });
  }

  async #write<Result>(perform: () => Result): Promise<Result> {
    try {
      return await this.database.write(perform);
    } catch (error) {
      throw error instanceof EmbeddedError ? new SequencerError(error.kind, error.message) : error;
    }
  }
}
