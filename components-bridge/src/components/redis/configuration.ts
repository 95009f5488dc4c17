import type { BackendPlace, ComponentContext } from '../../primitives/component.js';
import { covers } from '../../primitives/configuration/notices.js';
import { ConfigurationError } from '../../primitives/configuration/store.js';
import type {
  ConfigurationItem,
  ConfigurationQuery,
  ConfigurationStore,
  ConfigurationWatch,
  ConfigurationWrite,
} from '../../primitives/configuration/store.js';
import { reasonOf } from '../../primitives/errors.js';
import { DEFAULTS, placeOf, placesOf, storedKey, tagsKey } from './configuration-keys.js';
import { openConnection } from './connection.js';
import type { RedisConnection } from './connection.js';
import { RedisUnavailable } from './failure.js';
import { KeyspaceListener } from './keyspace.js';
import { configurationMetadataSchema } from './metadata.js';
import { serverOptions, settingsOf } from './options.js';
import type { Endpoint } from './options.js';
import { primaryOptions } from './primary-connector.js';
import { PrimaryWatch } from './primary-watch.js';
import { SAVE_CONFIGURATION } from './configuration-script.js';
import { evaluate } from './script.js';

/** Subscribers are told within two seconds of what they missed, so a lost connection is tried again sooner than that. */
const LONGEST_PAUSE_MS = 500;

/** What one query may find. */
const MOST_ITEMS = 10_000;
const MOST_BYTES = 16 * 1024 * 1024;

/** Keys per command, so that a large read does not hold up others. */
const STEP = 500;

const SEPARATOR = '||';

/** @throws Error naming the address and what happened; then nothing is left open */
export async function open(context: ComponentContext): Promise<RedisConfigurationStore> {
  const parsed = configurationMetadataSchema.parse(context.metadata);
  const maxRetryBackoff = parsed.maxRetryBackoff ?? parsed.redisMaxRetryInterval ?? LONGEST_PAUSE_MS;
  const metadata = { ...parsed, maxRetryBackoff };
  const settings = await settingsOf(metadata);
  const connection = await openConnection(metadata, context);
  const sentinel = settings.topology === 'sentinel';
  const [endpoint] = settings.endpoints as [Endpoint];
  const options = sentinel ? primaryOptions(settings) : serverOptions(settings, endpoint);
  const listener = new KeyspaceListener(options, connection, settings.db, context.log);
  const primaries = sentinel ? new PrimaryWatch(settings, (primary) => listener.moveTo(primary)) : undefined;
  const place = { system: 'redis', address: endpoint.host, port: endpoint.port };
  return new RedisConfigurationStore(connection, listener, primaries, place);
}

/** Configuration on Redis or Valkey, in Dapr's form and, for what Dapr does not have, beside it. */
export class RedisConfigurationStore implements ConfigurationStore {
  readonly defaults = DEFAULTS;

  constructor(
    private readonly connection: RedisConnection,
    private readonly listener: KeyspaceListener,
    private readonly primaries: PrimaryWatch | undefined,
    readonly place: BackendPlace,
  ) {}

  async get(query: ConfigurationQuery): Promise<ConfigurationItem[]> {
    const places = placesOf(query);
    try {
      const keys = 'keys' in places ? places.keys : await this.#find(query, places.pattern);
      return await this.#readAll(keys);
    } catch (error) {
      throw configurationError(error);
    }
  }

  async save(_appId: string, items: readonly ConfigurationWrite[]): Promise<void> {
    const writes = items.map((item) => {
      const { content, tags, metadata } = item;
      const plain =
        Object.keys(tags).length === 0 && Object.keys(metadata).length === 0 && !content.includes(SEPARATOR);
      return { key: storedKey(item), content, more: plain ? '' : JSON.stringify({ tags, metadata }) };
    });
    try {
      for (const { key, content, more } of writes) {
        await this.connection.run(key, (next) =>
          evaluate(next, SAVE_CONFIGURATION, [key, tagsKey(key)], [content, more]),
        );
      }
    } catch (error) {
      throw configurationError(error);
    }
  }

  async delete({ group, label, keys }: ConfigurationQuery): Promise<void> {
    const stored = keys.map((key) => storedKey({ group, label, key }));
    try {
      for (let at = 0; at < stored.length; at += STEP) {
        const step = stored.slice(at, at + STEP);
        await this.connection.run('', (next) => next().del(...step, ...step.map(tagsKey)));
      }
    } catch (error) {
      throw configurationError(error);
    }
  }

  watch(query: ConfigurationQuery, changed: () => void): ConfigurationWatch {
    return { close: this.listener.subscribe(topicsOf(query), changed) };
  }

  async confirm(): Promise<void> {
    try {
      await this.listener.confirm();
    } catch (error) {
      throw new ConfigurationError('unavailable', reasonOf(error), { cause: error });
    }
  }

  probe(): Promise<void> {
    return this.connection.ping();
  }

  async close(): Promise<void> {
    this.primaries?.close();
    this.listener.close();
    this.connection.close();
  }

  /** The stored keys of strings that match and can be items of the query. */
  async #find(query: ConfigurationQuery, pattern: string): Promise<string[]> {
    const found = new Set<string>();
    let cursor = '0';
    do {
      const [next, keys] = await this.connection.run('', (client) =>
        client().scan(cursor, 'MATCH', pattern, 'COUNT', STEP, 'TYPE', 'string'),
      );
      cursor = next;
      for (const key of keys) {
        const place = placeOf(key);
        if (place !== undefined && covers(query, place)) found.add(key);
      }
      if (found.size > MOST_ITEMS) throw tooMuch(`more than ${MOST_ITEMS} keys`);
    } while (cursor !== '0');
    return [...found];
  }

  async #readAll(keys: readonly string[]): Promise<ConfigurationItem[]> {
    const items: ConfigurationItem[] = [];
    let bytes = 0;
    for (let at = 0; at < keys.length; at += STEP) {
      const step = keys.slice(at, at + STEP);
      const values = await this.connection.run('', (next) =>
        next().mgetBuffer(...step, ...step.map(tagsKey)),
      );
      for (const [i, key] of step.entries()) {
        const value = values[i];
        const place = placeOf(key);
        if (!value || place === undefined) continue;
        bytes += value.length;
        if (bytes > MOST_BYTES) throw tooMuch(`more than ${MOST_BYTES} bytes`);
        items.push({ ...place, ...itemOf(value, values[step.length + i] ?? undefined) });
      }
    }
    return items;
  }
}

function topicsOf(query: ConfigurationQuery): { name: string; pattern: boolean }[] {
  const places = placesOf(query);
  if ('pattern' in places) return [{ name: places.pattern, pattern: true }];
  return places.keys.map((name) => ({ name, pattern: false }));
}

/** What a stored value says. @param more what is kept beside it, which may be of another version */
function itemOf(value: Buffer, more: Buffer | undefined): Omit<ConfigurationItem, 'group' | 'label' | 'key'> {
  const [version = '', length = '', ...rest] = more?.toString().split(SEPARATOR) ?? [];
  const end = Number(length);
  if (rest.length > 0 && value.subarray(end).toString() === SEPARATOR + version) {
    const { tags, metadata } = JSON.parse(rest.join(SEPARATOR)) as Pick<
      ConfigurationItem,
      'tags' | 'metadata'
    >;
    return { content: value.subarray(0, end).toString(), tags, metadata, version };
  }
  // As Dapr reads it.
  const [content = '', dapr = ''] = value.toString().split(SEPARATOR);
  return { content, tags: {}, metadata: {}, version: dapr };
}

function tooMuch(what: string): ConfigurationError {
  return new ConfigurationError('invalid', `${what} match; name the keys that are wanted`);
}

function configurationError(error: unknown): ConfigurationError {
  if (error instanceof ConfigurationError) return error;
  const kind = error instanceof RedisUnavailable ? 'unavailable' : 'failed';
  return new ConfigurationError(kind, reasonOf(error), { cause: error });
}
