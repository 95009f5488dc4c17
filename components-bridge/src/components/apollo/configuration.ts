import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import type { BackendPlace, ComponentContext } from '../../primitives/component.js';
import { ANY, ConfigurationError } from '../../primitives/configuration/store.js';
import type {
  ConfigurationItem,
  ConfigurationQuery,
  ConfigurationStore,
  ConfigurationWatch,
  ConfigurationWrite,
} from '../../primitives/configuration/store.js';
import { ConfigClient } from './config-client.js';
import { Disk } from './disk.js';
import { HttpClient } from './http.js';
import { isName, metadataSchema } from './metadata.js';
import type { ApolloMetadata } from './metadata.js';
import { Namespaces } from './namespaces.js';
import { OpenApi } from './open-api.js';
import { Servers } from './servers.js';
import { checkKey, keyAndLabelOf, storedKey, TAGS_NAMESPACE, tagsIn, tagsKey } from './stored-keys.js';

const DEFAULT_CLUSTER = 'default';
const DEFAULT_NAMESPACE = 'application';
const DEFAULT_ENV = 'DEV';
const REQUEST_MS = 3_000;

/** How long readers may go on getting the state before a release. */
const VISIBLE_WITHIN_MS = 3_000;
const LOOK_EVERY_MS = 50;

type Texts = ReadonlyMap<string, string>;

/** @throws Error naming the server and what happened; then nothing is left open */
export async function open(context: ComponentContext): Promise<ApolloConfigurationStore> {
  const metadata = metadataSchema.parse(context.metadata);
  const { app_id: appId, address: addresses, is_backup_config: backup = true } = metadata;
  const { requestTimeout: timeoutMs = REQUEST_MS } = metadata;
  const cluster = metadata.cluster ?? DEFAULT_CLUSTER;
  const names = metadata.namespace_name ?? [DEFAULT_NAMESPACE];
  const http = new HttpClient();
  const servers = new Servers({ http, addresses, appId, timeoutMs });
  const secret = metadata.secret || undefined;
  const clientIp = metadata.clientIP ?? ownAddress();
  const client = new ConfigClient({ http, servers, appId, cluster, secret, clientIp, timeoutMs });
  const disk = backup ? new Disk(folderOf(context), [addresses.join(','), appId, cluster]) : undefined;
  const namespaces = new Namespaces({
    client,
    disk,
    names: [...names, TAGS_NAMESPACE],
    log: context.log,
    onChange(away) {
      // Not before `open` has resolved: what is said until then does not count.
      setImmediate(() => {
        if (away === undefined) context.report('ready');
        else if (away.serving)
          context.report('ready', `configuration is served as it was last: ${away.reason}`);
        else context.report('down', away.reason);
      });
    },
  });
  const store = new ApolloConfigurationStore(http, namespaces, names, openApiOf(metadata, http, cluster));
  try {
    await namespaces.open();
  } catch (error) {
    await store.close();
    throw error;
  }
  return store;
}

/** Configuration of one app in Apollo: a group is a namespace. */
export class ApolloConfigurationStore implements ConfigurationStore {
  readonly defaults = { group: DEFAULT_NAMESPACE, label: '' };
  readonly place: BackendPlace = { system: 'apollo' };
  /** Changes are made one after the other: a release publishes everything that was changed before it. */
  #writing: Promise<void> = Promise.resolve();

  constructor(
    private readonly http: HttpClient,
    private readonly namespaces: Namespaces,
    private readonly names: readonly string[],
    /** Undefined: nothing can be changed. */
    private readonly openApi: OpenApi | undefined,
  ) {}

  async get({ group, label, keys }: ConfigurationQuery): Promise<ConfigurationItem[]> {
    const groups = this.#groups(group);
    const [tags, ...all] = await Promise.all(
      [TAGS_NAMESPACE, ...groups].map((name) => this.namespaces.read(name)),
    );
    const items: ConfigurationItem[] = [];
    const wanted = new Set(keys);
    for (const [index, texts] of all.entries()) {
      const itemGroup = groups[index] ?? '';
      for (const stored of candidates(texts, label, keys)) {
        const content = texts.get(stored);
        const place = keyAndLabelOf(stored);
        // What was not made by this form of key is nobody's item.
        if (content === undefined || storedKey(place) !== stored) continue;
        if (label !== ANY && place.label !== label) continue;
        if (keys.length > 0 && !wanted.has(place.key)) continue;
        const itemTags = tagsIn(tags?.get(tagsKey(itemGroup, stored)));
        items.push({ ...place, group: itemGroup, content, tags: itemTags, metadata: {}, version: '' });
      }
    }
    return items;
  }

  async save(_appId: string, items: readonly ConfigurationWrite[]): Promise<void> {
    const openApi = this.#writable();
    for (const item of items) {
      checkKey(item);
      this.#groups(item.group);
    }
    // Tags first: an item is not seen without them.
    await this.#inTurn(async () => {
      const tags = new Change(TAGS_NAMESPACE, await this.namespaces.readNow(TAGS_NAMESPACE));
      const changes = new Map<string, Change>();
      for (const item of items) {
        const { group, content } = item;
        const stored = storedKey(item);
        const text = Object.keys(item.tags).length === 0 ? undefined : JSON.stringify(item.tags);
        tags.set(tagsKey(group, stored), text);
        const change = changes.get(group) ?? new Change(group, await this.namespaces.readNow(group));
        changes.set(group, change);
        change.put(stored, content);
      }
      for (const change of [tags, ...changes.values()]) await this.#perform(openApi, change);
    });
  }

  async delete({ group, label, keys }: ConfigurationQuery): Promise<void> {
    const openApi = this.#writable();
    for (const key of keys) checkKey({ key, label });
    this.#groups(group);
    // Items first: none is seen without its tags.
    await this.#inTurn(async () => {
      const change = new Change(group, await this.namespaces.readNow(group));
      const tags = new Change(TAGS_NAMESPACE, await this.namespaces.readNow(TAGS_NAMESPACE));
      for (const key of keys) {
        const stored = storedKey({ key, label });
        change.remove(stored);
        tags.set(tagsKey(group, stored), undefined);
      }
      await this.#perform(openApi, change);
      await this.#perform(openApi, tags);
    });
  }

  watch({ group }: ConfigurationQuery, changed: () => void): ConfigurationWatch {
    const names = group === ANY || isName(group) ? this.#groups(group) : [];
    return { close: this.namespaces.watch([...names, TAGS_NAMESPACE], changed) };
  }

  confirm(): Promise<void> {
    return this.namespaces.confirm();
  }

  async close(): Promise<void> {
    const closed = this.namespaces.close();
    this.http.close();
    await closed;
  }

  /** @throws ConfigurationError if Apollo has no namespaces of such a name */
  #groups(group: string): readonly string[] {
    if (group === ANY) return this.names;
    if (isName(group)) return [group];
    const message = `group ${JSON.stringify(group)} cannot be a namespace of Apollo: letters, digits, "_", "." and "-" only`;
    throw new ConfigurationError('invalid', message);
  }

  #writable(): OpenApi {
    if (this.openApi !== undefined) return this.openApi;
    const message =
      'this store is only read: set open_api_address, open_api_token and open_api_user to change it';
    throw new ConfigurationError('invalid', message);
  }

  #inTurn(write: () => Promise<void>): Promise<void> {
    const turn = this.#writing.then(write);
    this.#writing = turn.catch(() => undefined);
    return turn;
  }

  /** Makes a change of one namespace, releases it, and waits until readers see it. */
  async #perform(openApi: OpenApi, { namespace, texts, known }: Change): Promise<void> {
    let changed = false;
    for (const [key, text] of texts) {
      if (text !== undefined) await this.#put(openApi, namespace, key, text);
      const isGone = text === undefined && (await openApi.delete(namespace, key));
      // One that is still to be seen was deleted before, by somebody who has not released that.
      if (text !== undefined || isGone || known.has(key)) changed = true;
    }
    if (!changed) return;
    const released = await openApi.release(namespace);
    const end = performance.now() + VISIBLE_WITHIN_MS;
    for (;;) {
      const seen = await this.namespaces.readNow(namespace);
      if ([...texts.keys()].every((key) => seen.get(key) === released.get(key))) return;
      if (performance.now() > end) break;
      await sleep(LOOK_EVERY_MS);
    }
    const message = `namespace ${namespace} was released, but readers do not get it; is open_api_env that of address?`;
    throw new ConfigurationError('failed', message);
  }

  async #put(openApi: OpenApi, namespace: string, key: string, text: string): Promise<void> {
    try {
      await openApi.put(namespace, key, text);
    } catch (error) {
      const absent = error instanceof ConfigurationError && error.kind === 'invalid';
      if (namespace !== TAGS_NAMESPACE || !absent) throw error;
      // Nobody makes it by hand.
      await openApi.createNamespace(namespace);
      await openApi.put(namespace, key, text);
    }
  }
}

/** What is to become of a namespace. */
class Change {
  /** New contents by key; undefined: it goes. */
  readonly texts = new Map<string, string | undefined>();

  /** @param known what readers get now */
  constructor(
    readonly namespace: string,
    readonly known: Texts,
  ) {}

  put(key: string, text: string): void {
    this.texts.set(key, text);
  }

  remove(key: string): void {
    this.texts.set(key, undefined);
  }

  /** Only if it is another one than now. */
  set(key: string, text: string | undefined): void {
    if (this.texts.has(key) || this.known.get(key) !== text) this.texts.set(key, text);
  }
}

/** The entries that can be items of a query: named ones are looked up, and not looked for. */
function candidates(texts: Texts, label: string, keys: readonly string[]): Iterable<string> {
  return label === ANY || keys.length === 0 ? texts.keys() : keys.map((key) => storedKey({ key, label }));
}

/** A component may be called "..", and its name becomes a folder here. */
function folderOf({ name, dataDir }: ComponentContext): string {
  const folder = name.replace(/^\.+$/, (dots) => '%2E'.repeat(dots.length));
  return join(dataDir, 'configuration', folder);
}

/** What this machine is known by, as Apollo's clients say it. */
function ownAddress(): string | undefined {
  const all = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? []);
  return all.find(({ family, internal }) => family === 'IPv4' && !internal)?.address;
}

function openApiOf(metadata: ApolloMetadata, http: HttpClient, cluster: string): OpenApi | undefined {
  const { open_api_address: address, open_api_token: token, open_api_user: user, app_id: appId } = metadata;
  if (!address || !token || !user) return undefined;
  const env = metadata.open_api_env ?? DEFAULT_ENV;
  return new OpenApi({ http, address, token, user, env, appId, cluster });
}
