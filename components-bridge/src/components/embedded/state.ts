import type { BackendPlace, ComponentContext } from '../../primitives/component.js';
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
import { EmbeddedDatabase, EmbeddedError } from './database.js';
import { metadataSchema } from './metadata.js';
import { recordKey } from './record.js';

/** Opens the store in its folder, which is made if it is not there. */
export async function open(context: ComponentContext): Promise<EmbeddedStateStore> {
  const { path } = metadataSchema.parse(context.metadata);
  return new EmbeddedStateStore(await EmbeddedDatabase.open(context, 'state', path));
}

/** State in the bridge's own process; see EmbeddedDatabase. */
export class EmbeddedStateStore implements StateStore {
  readonly features: ReadonlySet<StateFeature> = new Set(['ETAG', 'TRANSACTIONAL', 'TTL']);
  readonly place: BackendPlace = { system: 'lmdb' };

  constructor(readonly database: EmbeddedDatabase) {}

  async get(key: string): Promise<StateValue | undefined> {
    const record = this.database.get(recordKey(key));
    return record && { data: record.data, etag: String(record.version) };
  }

  set(write: StateWrite): Promise<void> {
    return this.transact([{ kind: 'upsert', ...write }]);
  }

  delete(removal: StateRemoval): Promise<void> {
    return this.transact([{ kind: 'delete', ...removal }]);
  }

  async transact(operations: readonly StateOperation[]): Promise<void> {
    let bytes = 0;
    for (const operation of operations) bytes += operation.kind === 'upsert' ? operation.value.length : 0;
    try {
      await this.database.write(() => this.#perform(operations), bytes);
    } catch (error) {
      throw error instanceof EmbeddedError ? new StateError(error.kind, error.message) : error;
    }
  }

  probe(): Promise<void> {
    return this.database.probe();
  }

  close(): Promise<void> {
    return this.database.close();
  }

  /** In a write: all operations, or an error and none. */
  #perform(operations: readonly StateOperation[]): void {
    const single = operations.length === 1 ? operations[0] : undefined;
    if (single !== undefined) {
      this.#apply(single);
      return;
    }
    this.database.atomically(() => {
      for (const operation of operations) this.#apply(operation);
    });
  }

  #apply(operation: StateOperation): void {
    const key = recordKey(operation.key);
    const record = this.database.read(key);
    const version = record === undefined ? undefined : String(record.version);
    if (operation.kind === 'delete') {
      check(demandOfRemoval(operation), version, operation.key);
      this.database.remove(key);
      return;
    }
    check(demandOfWrite(operation), version, operation.key);
    const { ttlSeconds } = operation;
    const before = record?.expiresAt ?? 0;
    const expiresAt = ttlSeconds === undefined ? before : ttlSeconds > 0 ? Date.now() + ttlSeconds * 1000 : 0;
    this.database.put(key, record, { version: (record?.version ?? 0) + 1, expiresAt, data: operation.value });
  }
}
