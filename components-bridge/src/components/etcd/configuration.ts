import type { MessageInitShape } from '@bufbuild/protobuf';

import {
  Compare_CompareResult,
  Compare_CompareTarget,
  KV,
  RangeRequest_SortOrder,
} from '../../gen/etcdserverpb/rpc_pb.js';
import type { KeyValue, RequestOpSchema } from '../../gen/etcdserverpb/rpc_pb.js';
import type { BackendPlace, ComponentContext } from '../../primitives/component.js';
import { covers } from '../../primitives/configuration/notices.js';
import { ANY, ConfigurationError } from '../../primitives/configuration/store.js';
import type {
  ConfigurationItem,
  ConfigurationQuery,
  ConfigurationStore,
  ConfigurationWatch,
  ConfigurationWrite,
} from '../../primitives/configuration/store.js';
import { reasonOf } from '../../primitives/errors.js';
import { itemKey, placeOf, prefixOf, startingWith, tagKey } from './configuration-keys.js';
import type { AppPath } from './configuration-keys.js';
import { EtcdConnection } from './connection.js';
import { EtcdRefused, EtcdUnavailable } from './failure.js';
import { configurationMetadataSchema } from './metadata.js';
import { Watcher } from './watcher.js';

type Operation = MessageInitShape<typeof RequestOpSchema>;

const DEFAULT = 'default';

/** What one query may find. */
const MOST_ITEMS = 10_000;
const MOST_BYTES = 16 * 1024 * 1024;
/** Keys of one answer. */
const PAGE = 200n;
/** Keys of a query that are asked for at once: a range each for the item and its tags, of the 128 operations of etcd's. */
const KEYS_AT_ONCE = 60;
/** Tags of an item: as many as can be written, and as many replaced, at once. */
const MOST_TAGS = 60;
/** How often something is tried that others get in the way of. */
const TRIES = 10;

/** @throws Error naming every address and what happened there; then nothing is left open */
export async function open(context: ComponentContext): Promise<EtcdConfigurationStore> {
  const { address, ...parsed } = configurationMetadataSchema.parse(context.metadata);
  const metadata = { ...parsed, endpoints: parsed.endpoints ?? address };
  const connection = await EtcdConnection.open(metadata, context);
  const watcher = new Watcher(connection, context.log);
  const path = (metadata.keyPrefixPath ?? '').replace(/\/+$/, '');
  return new EtcdConfigurationStore(connection, watcher, path, EtcdConnection.place(metadata));
}

/** Configuration on etcd, where Layotto keeps it; tags have their own content, which Layotto overwrites. */
export class EtcdConfigurationStore implements ConfigurationStore {
  readonly defaults = { group: DEFAULT, label: DEFAULT };

  constructor(
    private readonly connection: EtcdConnection,
    private readonly watcher: Watcher,
    private readonly path: string,
    readonly place: BackendPlace,
  ) {}

  async get(query: ConfigurationQuery): Promise<ConfigurationItem[]> {
    const at = this.#at(query.appId);
    const { group, label, keys } = query;
    try {
      const named = keys.length > 0 && group !== ANY && label !== ANY;
      const found = named ? await this.#named(at, query) : await this.#below(prefixOf(at, query));
      return itemsOf(at, query, found);
    } catch (error) {
      throw configurationError(error);
    }
  }

  async save(appId: string, items: readonly ConfigurationWrite[]): Promise<void> {
    const at = this.#at(appId);
    for (const { key, tags } of items) {
      const count = Object.keys(tags).length;
      if (count <= MOST_TAGS) continue;
      throw new ConfigurationError('invalid', `item ${key} has ${count} tags; at most ${MOST_TAGS} fit`);
    }
    try {
      for (const item of items) await this.#save(at, item);
    } catch (error) {
      throw configurationError(error);
    }
  }

  async delete(query: ConfigurationQuery): Promise<void> {
    const at = this.#at(query.appId);
    try {
      for (const keys of chunks(query.keys)) {
        const success = keys.flatMap((key): Operation[] => {
          const stored = itemKey(at, { ...query, key });
          return [
            { request: { case: 'deleteRange', value: { key: Buffer.from(stored) } } },
            { request: { case: 'deleteRange', value: startingWith(`${stored}/`) } },
          ];
        });
        await this.connection.call(KV.method.txn, { success });
      }
    } catch (error) {
      throw configurationError(error);
    }
  }

  watch(query: ConfigurationQuery, changed: () => void): ConfigurationWatch {
    const at = this.#at(query.appId);
    const close = this.watcher.add(prefixOf(at, query), (keys) => {
      const concerned =
        keys === 'any' ||
        keys.some((key) => {
          const place = placeOf(at, key);
          return place !== undefined && covers(query, place);
        });
      if (concerned) changed();
    });
    return { close };
  }

  async confirm(): Promise<void> {
    await this.watcher.confirm().catch((error: unknown) => {
      throw configurationError(error);
    });
  }

  async close(): Promise<void> {
    const closed = this.watcher.close();
    this.connection.close();
    await closed;
  }

  #at(appId: string): AppPath {
    return { path: this.path, appId };
  }

  /** The items of a query's keys, and their tags. */
  async #named(at: AppPath, query: ConfigurationQuery): Promise<KeyValue[]> {
    const found: KeyValue[] = [];
    for (const keys of chunks(query.keys)) {
      const { responses } = await this.connection.call(KV.method.txn, {
        success: keys.flatMap((key): Operation[] => {
          const stored = itemKey(at, { ...query, key });
          return [
            { request: { case: 'range', value: { key: Buffer.from(stored) } } },
            { request: { case: 'range', value: startingWith(`${stored}/`) } },
          ];
        }),
      });
      for (const { response } of responses) if (response.case === 'range') found.push(...response.value.kvs);
    }
    return found;
  }

  /** Everything below a prefix, as it was at one moment. */
  async #below(prefix: string): Promise<KeyValue[]> {
    for (let count = 1; ; count++) {
      try {
        return await this.#pages(prefix);
      } catch (error) {
        // The moment of the first page was compacted away before the last one was read.
        const compacted = error instanceof EtcdRefused && /has been compacted/.test(error.message);
        if (!compacted || count === TRIES) throw error;
      }
    }
  }

  async #pages(prefix: string): Promise<KeyValue[]> {
    const found: KeyValue[] = [];
    let bytes = 0;
    const { key: first, rangeEnd } = startingWith(prefix);
    let key = first;
    let revision = 0n;
    for (;;) {
      const request = { key, rangeEnd, limit: PAGE, revision, sortOrder: RangeRequest_SortOrder.ASCEND };
      const { kvs, more, header } = await this.connection.call(KV.method.range, request);
      for (const kv of kvs) bytes += kv.value.length;
      found.push(...kvs);
      // Tags count as well: nobody has that many for a good reason.
      if (found.length > MOST_ITEMS) throw tooMuch(`more than ${MOST_ITEMS} keys`);
      if (bytes > MOST_BYTES) throw tooMuch(`more than ${MOST_BYTES} bytes`);
      const last = kvs.at(-1);
      if (!more || last === undefined) return found;
      key = Buffer.concat([last.key, Buffer.of(0)]);
      revision = header?.revision ?? 0n;
    }
  }

  /** Writes an item and its tags, and removes the tags that it had. */
  async #save(at: AppPath, item: ConfigurationWrite): Promise<void> {
    const stored = itemKey(at, item);
    const below = startingWith(`${stored}/`);
    const wanted = new Map(Object.entries(item.tags).map(([tag, text]) => [tagKey(at, item, tag), text]));
    wanted.set(stored, item.content);
    for (let count = 0; count < TRIES; count++) {
      const { responses } = await this.connection.call(KV.method.txn, {
        success: [
          { request: { case: 'range', value: { key: Buffer.from(stored), keysOnly: true } } },
          { request: { case: 'range', value: { ...below, keysOnly: true } } },
        ],
      });
      const [[now], tags = []] = responses.map(({ response }) =>
        response.case === 'range' ? response.value.kvs : [],
      ) as [KeyValue[], KeyValue[]];
      const old = tags.filter(({ key }) => !wanted.has(Buffer.from(key).toString()));
      const { succeeded } = await this.connection.call(KV.method.txn, {
        // Nobody has changed the item since, or tags of both would remain.
        compare: [unchangedSince(stored, now?.modRevision ?? 0n)],
        success: [
          ...old.slice(0, MOST_TAGS).map(({ key }): Operation => {
            return { request: { case: 'deleteRange', value: { key } } };
          }),
          ...[...wanted].map(([key, text]): Operation => {
            const value = { key: Buffer.from(key), value: Buffer.from(text) };
            return { request: { case: 'put', value } };
          }),
        ],
      });
      if (succeeded && old.length <= MOST_TAGS) return;
    }
    throw new ConfigurationError('failed', `others change item ${item.key} all the time`);
  }
}

function unchangedSince(stored: string, revision: bigint) {
  return {
    key: Buffer.from(stored),
    target: Compare_CompareTarget.MOD,
    result: Compare_CompareResult.EQUAL,
    targetUnion: { case: 'modRevision', value: revision } as const,
  };
}

function itemsOf(at: AppPath, query: ConfigurationQuery, found: readonly KeyValue[]): ConfigurationItem[] {
  const items = new Map<string, ConfigurationItem & { tags: Record<string, string> }>();
  const tags: [string, string, string][] = [];
  for (const { key, value, modRevision } of found) {
    const stored = Buffer.from(key).toString();
    const place = placeOf(at, stored);
    if (place === undefined || !covers(query, place)) continue;
    const text = Buffer.from(value).toString();
    const { tag, ...where } = place;
    if (tag !== undefined) tags.push([itemKey(at, where), tag, text]);
    else items.set(stored, { ...where, content: text, tags: {}, metadata: {}, version: String(modRevision) });
  }
  for (const [stored, tag, text] of tags) {
    const item = items.get(stored);
    // Also a tag that is called like something of every object.
    if (item) Object.defineProperty(item.tags, tag, { value: text, enumerable: true, configurable: true });
  }
  return [...items.values()];
}

function chunks(keys: readonly string[]): string[][] {
  const unique = [...new Set(keys)];
  const result: string[][] = [];
  for (let at = 0; at < unique.length; at += KEYS_AT_ONCE) result.push(unique.slice(at, at + KEYS_AT_ONCE));
  return result;
}

function tooMuch(what: string): ConfigurationError {
  return new ConfigurationError('invalid', `${what} match; name the keys that are wanted`);
}

function configurationError(error: unknown): ConfigurationError {
  if (error instanceof ConfigurationError) return error;
  const message = reasonOf(error);
  if (error instanceof EtcdRefused && /request is too large|larger than max/.test(message)) {
    const limit = "the server's --max-request-bytes, 1.5 MiB unless it is set";
    return new ConfigurationError('invalid', `an item is larger than etcd takes (${limit})`, {
      cause: error,
    });
  }
  const kind = error instanceof EtcdUnavailable ? 'unavailable' : 'failed';
  return new ConfigurationError(kind, message, { cause: error });
}
