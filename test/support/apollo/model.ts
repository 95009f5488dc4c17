import { randomBytes } from 'node:crypto';

/** Who changed something and when, as Apollo adds it to everything. */
export interface Changed {
  dataChangeCreatedBy: string;
  dataChangeLastModifiedBy: string;
  dataChangeCreatedTime: string;
  dataChangeLastModifiedTime: string;
}

export interface Cluster extends Changed {
  id: number;
  name: string;
  appId: string;
  parentClusterId: number;
}

/** A namespace of one cluster of an app. */
export interface Namespace extends Changed {
  id: number;
  appId: string;
  clusterName: string;
  namespaceName: string;
}

export interface Item extends Changed {
  id: number;
  namespaceId: number;
  key: string;
  type: number;
  value: string;
  comment?: string | undefined;
  lineNum: number;
}

export interface Release extends Changed {
  id: number;
  releaseKey: string;
  name: string;
  appId: string;
  clusterName: string;
  namespaceName: string;
  /** JSON of what it holds. */
  configurations: string;
  comment?: string | undefined;
  isAbandoned: boolean;
}

export interface AccessKey extends Changed {
  id: number;
  secret: string;
  appId: string;
  mode: number;
  enabled: boolean;
}

/** Which clients see a branch of a namespace instead of the namespace. */
export interface GrayRule {
  clientAppId: string;
  clientIpList?: string[];
}

/** Who reads. */
export interface Reader {
  appId: string;
  cluster: string;
  dataCenter?: string | undefined;
  ip?: string | undefined;
}

/** Something that changed: the newest of its kind for one namespace of a cluster. */
export interface Message {
  id: number;
  /** `app+cluster+namespace`, as it is spelled. */
  label: string;
}

interface App {
  appId: string;
  clusters: Cluster[];
  /** Names of its namespaces, the same in every cluster. */
  namespaces: string[];
}

interface Branch {
  name: string;
  rules: GrayRule[];
}

/** Time as Apollo writes it. */
export function timestamp(): string {
  return new Date().toISOString().replace('Z', '+0000');
}

/** Names of namespaces differ neither by case nor by `.properties`, the format that needs no suffix. */
function nameOf(namespace: string): string {
  return namespace.toLowerCase().replace(/\.properties$/, '');
}

function place(appId: string, cluster: string, namespace: string): string {
  return `${appId}+${cluster}+${nameOf(namespace)}`;
}

/** What an Apollo of one environment holds, and the rules by which it is found. */
export class ApolloModel {
  readonly accessKeys: AccessKey[] = [];
  readonly #apps = new Map<string, App>();
  readonly #namespaces = new Map<string, Namespace>();
  readonly #items = new Map<number, Item>();
  readonly #releases: Release[] = [];
  readonly #branches = new Map<string, Branch>();
  readonly #messages = new Map<string, Message>();
  /** Owners of public namespaces. */
  readonly #owners = new Map<string, string>();
  readonly #serials = new Map<string, number>();
  readonly #listeners = new Set<() => void>();

  /** @param delayMs between a release and its message; a real server looks for messages each second */
  constructor(private readonly delayMs: number) {}

  /** Calls after each message, until the returned function is called. */
  onMessage(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  createApp(appId: string, by: string): number {
    const changed = changedBy(by);
    const id = this.#next('app');
    const cluster = { id: this.#next('cluster'), name: 'default', appId, parentClusterId: 0, ...changed };
    this.#apps.set(appId, { appId, clusters: [cluster], namespaces: ['application'] });
    this.#next('app namespace');
    this.#addNamespace(appId, 'default', 'application', changed);
    return id;
  }

  clusters(appId: string): Cluster[] | undefined {
    return this.#apps.get(appId)?.clusters;
  }

  /** Undefined if there is no such app. */
  createCluster(appId: string, name: string, by: string): Cluster | undefined {
    const app = this.#apps.get(appId);
    if (app === undefined) return undefined;
    const cluster = { id: this.#next('cluster'), name, appId, parentClusterId: 0, ...changedBy(by) };
    app.clusters.push(cluster);
    for (const namespace of app.namespaces) this.#addNamespace(appId, name, namespace, changedBy(by));
    return cluster;
  }

  /** A namespace in every cluster of an app. Undefined if there is no such app, 0 if it has it already. */
  createAppNamespace(appId: string, name: string, isPublic: boolean, by: string): number | undefined {
    const app = this.#apps.get(appId);
    if (app === undefined) return undefined;
    if (app.namespaces.some((known) => nameOf(known) === nameOf(name))) return 0;
    app.namespaces.push(name);
    for (const cluster of app.clusters) this.#addNamespace(appId, cluster.name, name, changedBy(by));
    if (isPublic) this.#owners.set(nameOf(name), appId);
    return this.#next('app namespace');
  }

  /** A namespace of one cluster only, such as a public one of another app. */
  linkNamespace(appId: string, cluster: string, name: string, by: string): Namespace {
    return this.#addNamespace(appId, cluster, name, changedBy(by));
  }

  namespace(appId: string, cluster: string, name: string): Namespace | undefined {
    return this.#namespaces.get(place(appId, cluster, name));
  }

  namespaces(appId: string, cluster: string): Namespace[] {
    return [...this.#namespaces.values()].filter((one) => one.appId === appId && one.clusterName === cluster);
  }

  deleteNamespace(namespace: Namespace): void {
    const { appId, clusterName, namespaceName } = namespace;
    for (const release of this.#releasesOf(appId, clusterName, namespaceName)) release.isAbandoned = true;
    for (const item of this.items(namespace)) this.#items.delete(item.id);
    this.#announce(appId, clusterName, namespaceName);
    this.#namespaces.delete(place(appId, clusterName, namespaceName));
  }

  items(namespace: Namespace): Item[] {
    return [...this.#items.values()].filter(({ namespaceId }) => namespaceId === namespace.id);
  }

  item(id: number): Item | undefined {
    return this.#items.get(id);
  }

  createItem(
    namespaceId: number,
    item: Pick<Item, 'key' | 'value' | 'comment' | 'lineNum'>,
    by: string,
  ): Item {
    const { key, value, comment, lineNum } = item;
    const id = this.#next('item');
    const created = { id, namespaceId, key, type: 0, value, comment, lineNum, ...changedBy(by) };
    this.#items.set(id, created);
    return created;
  }

  updateItem(item: Item, value: string, by: string): void {
    Object.assign(item, { value, dataChangeLastModifiedBy: by, dataChangeLastModifiedTime: timestamp() });
  }

  deleteItem(id: number): boolean {
    return this.#items.delete(id);
  }

  /** Makes what the items of a namespace hold now what readers see. */
  release(namespace: Namespace, name: string, comment: string | undefined, by: string): Release {
    const { appId, clusterName, namespaceName } = namespace;
    const main = this.#mainOf(clusterName);
    const base = main && this.#latest(...main);
    const own = Object.fromEntries(this.items(namespace).map(({ key, value }) => [key, value]));
    const release: Release = {
      id: this.#next('release'),
      releaseKey: freshKey(),
      name,
      appId,
      clusterName,
      namespaceName,
      configurations: JSON.stringify({ ...contentsOf(base), ...own }),
      comment,
      isAbandoned: false,
      ...changedBy(by),
    };
    this.#releases.push(release);
    this.#announce(appId, main?.[1] ?? clusterName, namespaceName);
    return release;
  }

  latestRelease({ appId, clusterName, namespaceName }: Namespace): Release | undefined {
    return this.#latest(appId, clusterName, namespaceName);
  }

  /** Takes a release back; readers see the one before it. */
  rollback(id: number): boolean {
    const release = this.#releases.find((one) => one.id === id);
    if (release === undefined) return false;
    release.isAbandoned = true;
    this.#announce(release.appId, release.clusterName, release.namespaceName);
    return true;
  }

  createBranch({ appId, clusterName, namespaceName }: Namespace, by: string): Namespace {
    const branch = { name: freshKey(), rules: [] };
    this.#branches.set(place(appId, clusterName, namespaceName), branch);
    return this.#addNamespace(appId, branch.name, namespaceName, changedBy(by));
  }

  setRules({ appId, clusterName, namespaceName }: Namespace, rules: GrayRule[]): void {
    const branch = this.#branches.get(place(appId, clusterName, namespaceName));
    if (branch !== undefined) branch.rules = rules;
    this.#announce(appId, clusterName, namespaceName);
  }

  createAccessKey(appId: string, secret: string, by: string): AccessKey {
    const key = { id: this.#next('access key'), secret, appId, mode: 0, enabled: false, ...changedBy(by) };
    this.accessKeys.push(key);
    return key;
  }

  /** What a reader sees of a namespace, what overrides first: the app's own, then what a public one says. */
  read(reader: Reader, namespace: string): Release[] {
    const owner = this.#owners.get(nameOf(namespace));
    const apps = owner === undefined || owner === reader.appId ? [reader.appId] : [reader.appId, owner];
    return apps.flatMap((appId) => this.#find(appId, reader, namespace) ?? []);
  }

  /** What changed of a namespace as a reader sees it. */
  messages(reader: Reader, namespace: string): Message[] {
    const owner = this.#owners.get(nameOf(namespace));
    const apps = owner === undefined || owner === reader.appId ? [reader.appId] : [reader.appId, owner];
    return apps.flatMap((appId) =>
      clustersOf(reader).flatMap((cluster) => this.#messages.get(place(appId, cluster, namespace)) ?? []),
    );
  }

  #find(appId: string, reader: Reader, namespace: string): Release | undefined {
    for (const cluster of clustersOf(reader)) {
      const branch = this.#branches.get(place(appId, cluster, namespace));
      if (branch?.rules.some((rule) => isMeant(rule, reader))) {
        const gray = this.#latest(appId, branch.name, namespace);
        if (gray !== undefined) return gray;
      }
      const release = this.#latest(appId, cluster, namespace);
      if (release !== undefined) return release;
    }
    return undefined;
  }

  #releasesOf(appId: string, cluster: string, namespace: string): Release[] {
    const at = place(appId, cluster, namespace);
    return this.#releases.filter((one) => place(one.appId, one.clusterName, one.namespaceName) === at);
  }

  #latest(appId: string, cluster: string, namespace: string): Release | undefined {
    return this.#releasesOf(appId, cluster, namespace)
      .filter(({ isAbandoned }) => !isAbandoned)
      .at(-1);
  }

  /** Where the namespace is whose branch a cluster is, if it is one. */
  #mainOf(cluster: string): [string, string, string] | undefined {
    const [at] = [...this.#branches].find(([, { name }]) => name === cluster) ?? [];
    return at === undefined ? undefined : (at.split('+') as [string, string, string]);
  }

  #addNamespace(appId: string, clusterName: string, namespaceName: string, changed: Changed): Namespace {
    const namespace = { id: this.#next('namespace'), appId, clusterName, namespaceName, ...changed };
    this.#namespaces.set(place(appId, clusterName, namespaceName), namespace);
    return namespace;
  }

  #announce(appId: string, cluster: string, namespace: string): void {
    const at = place(appId, cluster, namespace);
    const spelled = this.#namespaces.get(at)?.namespaceName ?? namespace;
    const label = `${appId}+${cluster}+${spelled}`;
    const tell = (): void => {
      this.#messages.set(at, { id: this.#next('message'), label });
      for (const listener of [...this.#listeners]) listener();
    };
    if (this.delayMs === 0) tell();
    else setTimeout(tell, this.delayMs).unref();
  }

  #next(kind: string): number {
    const serial = (this.#serials.get(kind) ?? 0) + 1;
    this.#serials.set(kind, serial);
    return serial;
  }
}

/** What releases hold together; the first overrides those after it. */
export function contentsOf(...releases: readonly (Release | undefined)[]): Record<string, string> {
  const parts = releases.map((one) => JSON.parse(one?.configurations ?? '{}') as Record<string, string>);
  return Object.assign({}, ...parts.reverse()) as Record<string, string>;
}

/** Where a reader looks, in order. */
function clustersOf({ cluster, dataCenter }: Reader): string[] {
  return [...new Set([cluster, dataCenter ?? 'default', 'default'])];
}

function isMeant({ clientAppId, clientIpList = [] }: GrayRule, { appId, ip }: Reader): boolean {
  return clientAppId === appId && ip !== undefined && clientIpList.some((one) => one === ip || one === '*');
}

function changedBy(by: string): Changed {
  const now = timestamp();
  return {
    dataChangeCreatedBy: by,
    dataChangeLastModifiedBy: by,
    dataChangeCreatedTime: now,
    dataChangeLastModifiedTime: now,
  };
}

/** Like Apollo's keys of releases: when, and something that nothing else has. */
function freshKey(): string {
  return `${new Date().toISOString().replace(/\D/g, '').slice(0, 14)}-${randomBytes(8).toString('hex')}`;
}
