import { createHash } from 'node:crypto';
import { join } from 'node:path';

import { open as openLmdb } from 'lmdb';
import type { Database, RootDatabase } from 'lmdb';

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
import { DATA_FILE, storeFolder } from './folder.js';
import { configurationMetadataSchema } from './metadata.js';

/** How often it is looked whether another process has written. */
const LOOK_EVERY_MS = 100;

/** What lmdb takes as a key on 4 KiB pages is a little more. */
const LONGEST_PLAIN_KEY = 1_900;

/** In front of keys that are kept as they are, and of those kept by their hash. */
const PLAIN = 0;
const HASHED = 1;

/** Opens the store in its folder, which is made if it is not there. */
export async function open(context: ComponentContext): Promise<EmbeddedConfigurationStore> {
  const { path } = configurationMetadataSchema.parse(context.metadata);
  return new EmbeddedConfigurationStore(await storeFolder(context, 'configuration', path));
}

/**
 * Configuration in the bridge's own process, on lmdb: each item a JSON text under `[group,label,key]`, so that those
 * of a group and label stand together. A write is acknowledged once it is on disk. Apps are not kept apart.
 */
export class EmbeddedConfigurationStore implements ConfigurationStore {
  readonly defaults = { group: 'default', label: 'default' };
  readonly place: BackendPlace = { system: 'lmdb' };
  readonly #root: RootDatabase<Buffer, Buffer>;
  readonly #items: Database<Buffer, Buffer>;
  readonly #notices = new Notices();
  readonly #looking: NodeJS.Timeout;
  /** The last transaction whose changes were told. */
  #seen: number;
  #closed = false;

  constructor(dir: string) {
    // A commit must be on disk when its promise resolves, so it may not overlap with the next one.
    const options = { keyEncoding: 'binary', encoding: 'binary', overlappingSync: false } as const;
    this.#root = openLmdb<Buffer, Buffer>(join(dir, DATA_FILE), { ...options, maxDbs: 4, noSubdir: true });
    this.#items = this.#root.openDB<Buffer, Buffer>('items', options);
    this.#seen = this.#lastCommit();
    this.#looking = setInterval(() => this.#look(), LOOK_EVERY_MS);
    this.#looking.unref();
  }

  async get(query: ConfigurationQuery): Promise<ConfigurationItem[]> {
    this.#checkOpen();
    // Another bridge may have it open too, while it takes over; what lmdb keeps of an earlier look may be old.
    this.#root.resetReadTxn();
    try {
      const { group, label, keys } = query;
      if (keys.length > 0 && group !== ANY && label !== ANY) {
        return keys.flatMap((key) => this.#read({ group, label, key }) ?? []);
      }
      return this.#scan(query);
    } catch (error) {
      throw new ConfigurationError('failed', reasonOf(error), { cause: error });
    }
  }

  async save(_appId: string, items: readonly ConfigurationWrite[]): Promise<void> {
    await this.#change(items, () => {
      for (const item of items) {
        const version = String(Number(this.#read(item)?.version ?? 0) + 1);
        const { key, content, group, label, tags, metadata } = item;
        const stored: ConfigurationItem = { key, content, group, label, tags, metadata, version };
        void this.#items.put(keyOf(item), Buffer.from(JSON.stringify(stored)));
      }
    });
  }

  async delete({ group, label, keys }: ConfigurationQuery): Promise<void> {
    const places = keys.map((key) => ({ group, label, key }));
    await this.#change(places, () => {
      for (const place of places) void this.#items.remove(keyOf(place));
    });
  }

  watch(query: ConfigurationQuery, changed: () => void): ConfigurationWatch {
    return this.#notices.add(query, changed);
  }

  async confirm(): Promise<void> {
    this.#checkOpen();
    this.#look();
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearInterval(this.#looking);
    this.#notices.clear();
    await this.#root.close();
  }

  #checkOpen(): void {
    if (this.#closed) throw new ConfigurationError('unavailable', 'the store is closed');
  }

  async #change(places: readonly Place[], perform: () => void): Promise<void> {
    this.#checkOpen();
    try {
      await this.#root.transaction(perform);
    } catch (error) {
      throw new ConfigurationError('failed', `the commit failed: ${reasonOf(error)}`, { cause: error });
    }
    for (const place of places) this.#notices.changed(place);
  }

  /** Tells everybody if something was committed since the last look, by whomever. */
  #look(): void {
    if (this.#closed) return;
    const last = this.#lastCommit();
    if (last === this.#seen) return;
    this.#seen = last;
    this.#notices.allChanged();
  }

  #lastCommit(): number {
    return (this.#root.getStats() as { lastTxnId: number }).lastTxnId;
  }

  #read(place: Place): ConfigurationItem | undefined {
    const bytes = this.#items.getBinary(keyOf(place));
    return bytes === undefined ? undefined : itemOf(bytes);
  }

  #scan(query: ConfigurationQuery): ConfigurationItem[] {
    const { group, label } = query;
    const prefix = group === ANY ? '[' : label === ANY ? prefixOf([group]) : prefixOf([group, label]);
    const start = Buffer.concat([Buffer.of(PLAIN), Buffer.from(prefix)]);
    // Above every text that begins with the prefix: no UTF-8 has this byte.
    const end = Buffer.concat([start, Buffer.of(0xff)]);
    const items: ConfigurationItem[] = [];
    for (const range of [
      { start, end },
      { start: Buffer.of(HASHED), end: Buffer.of(HASHED + 1) },
    ]) {
      for (const { value } of this.#items.getRange(range)) {
        const item = itemOf(value);
        if (covers(query, item)) items.push(item);
      }
    }
    return items;
  }
}

/** What the JSON texts of all lists begin with that begin with these names. */
function prefixOf(names: readonly string[]): string {
  return `${JSON.stringify(names).slice(0, -1)},`;
}

function keyOf({ group, label, key }: Place): Buffer {
  const text = Buffer.from(JSON.stringify([group, label, key]));
  if (text.length <= LONGEST_PLAIN_KEY) return Buffer.concat([Buffer.of(PLAIN), text]);
  return Buffer.concat([Buffer.of(HASHED), createHash('sha256').update(text).digest()]);
}

function itemOf(bytes: Buffer): ConfigurationItem {
  return JSON.parse(bytes.toString()) as ConfigurationItem;
}
