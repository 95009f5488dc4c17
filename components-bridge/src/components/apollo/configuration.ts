import { createHash } from 'node:crypto';
import { join } from 'node:path';

import type { BackendPlace, ComponentContext } from '../../primitives/component.js';
import { ANY, ConfigurationError } from '../../primitives/configuration/store.js';
import type {
  ConfigurationItem,
  ConfigurationQuery,
  ConfigurationStore,
  ConfigurationWatch,
  ConfigurationWrite,
} from '../../primitives/configuration/store.js';
import { reasonOf } from '../../primitives/errors.js';
import { ConfigClient } from './config-client.js';
import { DiskCache } from './disk-cache.js';
import { ApolloRefused, ApolloUnavailable } from './http.js';
import { metadataSchema } from './metadata.js';
import type { ApolloMetadata } from './metadata.js';
import { Namespaces } from './namespaces.js';
import type { Contents } from './namespaces.js';
import { OpenApi } from './open-api.js';
import { labelled, parseTags, splitKey, TAGS_NAMESPACE, tagsKey } from './keys.js';

const TIMEOUT_MS = 3_000;
const CLUSTER = 'default';
const NAMESPACE = 'application';
const ENV = 'DEV';

/** How long a release may take until readers see it: config services look for releases each second. */
const VISIBLE_WITHIN_MS = 5_000;
const LOOK_EVERY_MS = 50;

/** @throws Error that says why Apollo cannot be read */
export async function open(context: ComponentContext): Promise<ApolloConfigurationStore> {
  const metadata = metadataSchema.parse(context.metadata);
  const { address: addresses = [], app_id: appId } = metadata;
  const cluster = metadata.cluster || CLUSTER;
  const timeoutMs = metadata.timeout || TIMEOUT_MS;
  const client = new ConfigClient({
    addresses,
    appId,
    cluster,
    dataCenter: metadata.data_center || undefined,
    secret: metadata.secret || undefined,
    timeoutMs,
  });
  const folder = createHash('sha256').update(context.name).digest('hex').slice(0, 16);
  const cache =
    metadata.is_backup_config === false
      ? undefined
      : new DiskCache(join(context.dataDir, 'apollo', folder), `${appId}\n${cluster}`, context.log);
  const groups = metadata.namespace_name ?? [NAMESPACE];
  const namespaces = await Namespaces.open(client, groups, cache, context);
  const openApi = openApiOf(metadata, { appId, cluster, timeoutMs });
  const [first = ''] = addresses;
  const { hostname, port } = new URL(first);
  const place = { system: 'apollo', address: hostname, port: Number(port) || 80 };
  return new ApolloConfigurationStore(namespaces, openApi, groups, place);
}

function openApiOf(
  metadata: ApolloMetadata,
  rest: { appId: string; cluster: string; timeoutMs: number },
): OpenApi | undefined {
  const { open_api_address: address, open_api_token: token = '', open_api_user: user = '' } = metadata;
  if (address === undefined) return undefined;
  return new OpenApi({ address, token, user, env: metadata.open_api_env || ENV, ...rest });
}

/**
 * Configuration in Apollo, as Layotto keeps it: groups are namespaces, a label follows its key after `@$`, and tags
 * are JSON in a namespace of their own. It is read from the config services, and written through the portal's open
 * API, each namespace with a release. The app is the one that the store is configured with, whatever a call says.
 */
export class ApolloConfigurationStore implements ConfigurationStore {
  readonly defaults = { group: NAMESPACE, label: '' };

  constructor(
    private readonly namespaces: Namespaces,
    private readonly openApi: OpenApi | undefined,
    /** What the group `*` stands for. */
    private readonly groups: readonly string[],
    readonly place: BackendPlace,
  ) {}

  async get(query: ConfigurationQuery): Promise<ConfigurationItem[]> {
    try {
      const [tags, ...found] = await Promise.all(
        [TAGS_NAMESPACE, ...this.#groupsOf(query)].map(async (group) => {
          return { group, contents: await this.namespaces.read(group) };
        }),
      );
      return found.flatMap(({ group, contents }) => itemsOf(query, group, contents, tags?.contents));
    } catch (error) {
      throw configurationError(error);
    }
  }

  async save(_appId: string, items: readonly ConfigurationWrite[]): Promise<void> {
    const openApi = this.#writable();
    const writes = items.map((item) => ({ ...item, stored: labelled(item), tagsAt: tagsKey(item) }));
    await this.#change(async (changed) => {
      const known = (await this.namespaces.read(TAGS_NAMESPACE))?.configurations ?? {};
      for (const { group, stored, tagsAt, content, tags } of writes) {
        await inGroup(group, () => openApi.putItem(group, stored, content));
        changed(group, stored, content);
        if (Object.keys(tags).length > 0) {
          const text = JSON.stringify(tags);
          await this.#putTags(openApi, tagsAt, text);
          changed(TAGS_NAMESPACE, tagsAt, text);
        } else if (tagsAt in known) {
          await openApi.deleteItem(TAGS_NAMESPACE, tagsAt);
          changed(TAGS_NAMESPACE, tagsAt, undefined);
        }
      }
    });
  }

  async delete({ group, label, keys }: ConfigurationQuery): Promise<void> {
    const openApi = this.#writable();
    await this.#change(async (changed) => {
      const known = (await this.namespaces.read(TAGS_NAMESPACE))?.configurations ?? {};
      for (const key of keys) {
        const [stored, tagsAt] = [labelled({ key, label }), tagsKey({ group, key, label })];
        await inGroup(group, () => openApi.deleteItem(group, stored));
        changed(group, stored, undefined);
        if (!(tagsAt in known)) continue;
        await openApi.deleteItem(TAGS_NAMESPACE, tagsAt);
        changed(TAGS_NAMESPACE, tagsAt, undefined);
      }
    });
  }

  watch(query: ConfigurationQuery, changed: () => void): ConfigurationWatch {
    const close = this.namespaces.watch([TAGS_NAMESPACE, ...this.#groupsOf(query)], changed);
    return { close };
  }

  async confirm(): Promise<void> {
    await this.namespaces.confirm().catch((error: unknown) => {
      throw configurationError(error);
    });
  }

  close(): Promise<void> {
    return this.namespaces.close();
  }

  #groupsOf({ group }: ConfigurationQuery): readonly string[] {
    return group === ANY ? this.groups : [group];
  }

  #writable(): OpenApi {
    if (this.openApi !== undefined) return this.openApi;
    const message = 'this store only reads: set open_api_address, open_api_token and open_api_user to write';
    throw new ConfigurationError('invalid', message);
  }

  /**
   * Makes changes, releases every namespace in which there were some, tags first, so that no reader sees an item
   * without them, and waits until readers see all of it.
   */
  async #change(
    make: (changed: (namespace: string, key: string, content: string | undefined) => void) => Promise<void>,
  ): Promise<void> {
    const changes = new Map<string, Map<string, string | undefined>>();
    try {
      await make((namespace, key, content) => {
        let of = changes.get(namespace);
        if (of === undefined) changes.set(namespace, (of = new Map<string, string | undefined>()));
        of.set(key, content);
      });
      const tagsFirst = [...changes.keys()].sort((a) => (a === TAGS_NAMESPACE ? -1 : 1));
      for (const namespace of tagsFirst) await this.openApi?.release(namespace);
      for (const [namespace, wanted] of changes) await this.#visible(namespace, wanted);
    } catch (error) {
      throw configurationError(error);
    }
  }

  async #visible(namespace: string, wanted: ReadonlyMap<string, string | undefined>): Promise<void> {
    const end = performance.now() + VISIBLE_WITHIN_MS;
    for (;;) {
      const { configurations = {}, stale = false } = (await this.namespaces.read(namespace)) ?? {};
      if (!stale && [...wanted].every(([key, content]) => configurations[key] === content)) return;
      // Somebody else may have changed it again.
      if (performance.now() > end) return;
      await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
    }
  }

  /** The namespace of tags is made when it is first needed. */
  async #putTags(openApi: OpenApi, key: string, text: string): Promise<void> {
    try {
      await openApi.putItem(TAGS_NAMESPACE, key, text);
    } catch (error) {
      if (!(error instanceof ApolloRefused) || error.status !== 404) throw error;
      await openApi.createNamespace(TAGS_NAMESPACE);
      await openApi.putItem(TAGS_NAMESPACE, key, text);
    }
  }
}

function itemsOf(
  { keys, label }: ConfigurationQuery,
  group: string,
  contents: Contents | undefined,
  tags: Contents | undefined,
): ConfigurationItem[] {
  const wanted = new Set(keys);
  const stale = contents?.stale === true || tags?.stale === true;
  return Object.entries(contents?.configurations ?? {}).flatMap(([stored, content]) => {
    const place = splitKey(stored);
    if (label !== ANY && place.label !== label) return [];
    if (wanted.size > 0 && !wanted.has(place.key)) return [];
    const kept = tags?.configurations[tagsKey({ group, ...place })];
    const metadata: Record<string, string> = stale ? { stale: 'true' } : {};
    return [{ ...place, group, content, tags: parseTags(kept), metadata, version: '' }];
  });
}

/** Says of which group it is that Apollo has no such namespace. */
async function inGroup(group: string, change: () => Promise<void>): Promise<void> {
  try {
    await change();
  } catch (error) {
    if (!(error instanceof ApolloRefused) || error.status !== 404) throw error;
    const message = `Apollo has no namespace ${group} in this app and cluster; create it in the portal`;
    throw new ConfigurationError('invalid', message, { cause: error });
  }
}

function configurationError(error: unknown): ConfigurationError {
  if (error instanceof ConfigurationError) return error;
  const kind =
    error instanceof ApolloUnavailable
      ? 'unavailable'
      : error instanceof ApolloRefused && error.status === 400
        ? 'invalid'
        : 'failed';
  return new ConfigurationError(kind, reasonOf(error), { cause: error });
}
