import type { BackendPlace, ComponentContext } from '../../primitives/component.js';
import { covers, Notices } from '../../primitives/configuration/notices.js';
import type { Place } from '../../primitives/configuration/notices.js';
import { ANY, ConfigurationError } from '../../primitives/configuration/store.js';
import type {
  ConfigurationItem,
  ConfigurationQuery,
  ConfigurationStore,
  ConfigurationWatch,
  ConfigurationWrite,
} from '../../primitives/configuration/store.js';
import { reasonOf } from '../../primitives/errors.js';
import { CommitWatch } from './commit-watch.js';
import { EmbeddedDatabase, EmbeddedError } from './database.js';
import { configurationMetadataSchema } from './metadata.js';
import { recordKey } from './record.js';
import type { RecordKey, StoredRecord } from './record.js';

/** How often it is looked whether another process has written. */
const LOOK_EVERY_MS = 100;

/** What a record holds beside its version; where it stands is in it, because keys may be kept by their hash. */
type Kept = Omit<ConfigurationItem, 'version'>;

/** Opens the store in its folder, which is made if it is not there. */
export async function open(context: ComponentContext): Promise<EmbeddedConfigurationStore> {
  const { path } = configurationMetadataSchema.parse(context.metadata);
  return new EmbeddedConfigurationStore(await EmbeddedDatabase.open(context, 'configuration', path));
}

/**
 * Configuration in the bridge's own process, see EmbeddedDatabase: each item a JSON text under `[group,label,key]`, so
 * that those of a group and label stand together. Apps are not kept apart.
 */
export class EmbeddedConfigurationStore implements ConfigurationStore {
  readonly defaults = { group: 'default', label: 'default' };
  readonly place: BackendPlace = { system: 'lmdb' };
  readonly #notices = new Notices();
  readonly #looking: NodeJS.Timeout;
  readonly #commits: CommitWatch;
  #closed = false;

  constructor(private readonly database: EmbeddedDatabase) {
    this.#commits = new CommitWatch(database);
    this.#looking = setInterval(() => this.#look(), LOOK_EVERY_MS);
    this.#looking.unref();
  }

  async get(query: ConfigurationQuery): Promise<ConfigurationItem[]> {
    this.#checkOpen();
    const { group, label, keys } = query;
    try {
      if (keys.length > 0 && group !== ANY && label !== ANY) {
        return keys.flatMap((key) => itemOf(this.database.get(keyOf({ group, label, key }))) ?? []);
      }
      return this.#scan(query);
    } catch (error) {
      throw configurationError(error);
    }
  }

  async save(_appId: string, items: readonly ConfigurationWrite[]): Promise<void> {
    const writes = items.map((item) => {
      const { key, content, group, label, tags, metadata } = item;
      const kept: Kept = { key, content, group, label, tags, metadata };
      return { key: keyOf(item), data: Buffer.from(JSON.stringify(kept)) };
    });
    const bytes = writes.reduce((sum, { data }) => sum + data.length, 0);
    await this.#change(
      items,
      () => {
        for (const { key, data } of writes) {
          const before = this.database.read(key);
          this.database.put(key, before, { version: (before?.version ?? 0) + 1, expiresAt: 0, data });
        }
      },
      bytes,
    );
  }

  async delete({ group, label, keys }: ConfigurationQuery): Promise<void> {
    const places = keys.map((key) => ({ group, label, key }));
    await this.#change(places, () => {
      for (const place of places) this.database.remove(keyOf(place));
    });
  }

  watch(query: ConfigurationQuery, changed: () => void): ConfigurationWatch {
    return this.#notices.add(query, changed);
  }

  async confirm(): Promise<void> {
    this.#checkOpen();
    this.#look();
  }

  probe(): Promise<void> {
    return this.database.probe();
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearInterval(this.#looking);
    this.#notices.clear();
    await this.database.close();
  }

  #checkOpen(): void {
    if (this.#closed) throw new ConfigurationError('unavailable', 'the store is closed');
  }

  async #change(places: readonly Place[], perform: () => void, bytes = 0): Promise<void> {
    this.#checkOpen();
    try {
      await this.database.write(perform, bytes);
    } catch (error) {
      throw configurationError(error);
    }
    for (const place of places) this.#notices.changed(place);
  }

  /** Tells everybody if something was committed since the last look, by whomever. */
  #look(): void {
    if (!this.#closed && this.#commits.look()) this.#notices.allChanged();
  }

  #scan(query: ConfigurationQuery): ConfigurationItem[] {
    const { group, label } = query;
    const start = group === ANY ? '[' : label === ANY ? startOf([group]) : startOf([group, label]);
    const items: ConfigurationItem[] = [];
    for (const record of this.database.scan(start)) {
      const item = itemOf(record);
      if (item !== undefined && covers(query, item)) items.push(item);
    }
    return items;
  }
}

/** What the JSON texts of all lists begin with that begin with these names. */
function startOf(names: readonly string[]): string {
  return `${JSON.stringify(names).slice(0, -1)},`;
}

function keyOf({ group, label, key }: Place): RecordKey {
  return recordKey(JSON.stringify([group, label, key]));
}

function itemOf(record: StoredRecord | undefined): ConfigurationItem | undefined {
  if (record === undefined) return undefined;
  return { ...(JSON.parse(record.data.toString()) as Kept), version: String(record.version) };
}

function configurationError(error: unknown): ConfigurationError {
  const kind = error instanceof EmbeddedError ? error.kind : 'failed';
  return new ConfigurationError(kind, reasonOf(error), { cause: error });
}
