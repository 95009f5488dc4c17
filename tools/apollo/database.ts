/**
 * What an Apollo keeps, as far as its clients can tell: apps, clusters, namespaces, items, releases, gray releases,
 * access keys, and the messages that releases send to those who wait for changes.
 */
import { randomBytes } from 'node:crypto';

export type ItemTexts = Record<string, string>;

/** Who made something and when, with the names that Apollo's answers have. */
export interface Audit {
  dataChangeCreatedBy: string;
  dataChangeLastModifiedBy: string;
  dataChangeCreatedTime: string;
  dataChangeLastModifiedTime: string;
}

export interface App extends Audit {
  id: number;
  appId: string;
  name: string;
  [other: string]: unknown;
}

export interface Cluster extends Audit {
  id: number;
  name: string;
  appId: string;
  parentClusterId: number;
}

export interface AppNamespace extends Audit {
  id: number;
  name: string;
  appId: string;
  comment: string;
  format: string;
  isPublic: boolean;
}

export interface Namespace extends Audit {
  id: number;
  appId: string;
  clusterName: string;
  namespaceName: string;
}

export interface Item extends Audit {
  id: number;
  namespaceId: number;
  key: string;
  type: number;
  value: string;
  comment: string | undefined;
  lineNum: number;
}

export interface Release extends Audit {
  id: number;
  releaseKey: string;
  name: string;
  appId: string;
  clusterName: string;
  namespaceName: string;
  /** JSON of the items. */
  configurations: string;
  comment: string | undefined;
  isAbandoned: boolean;
}

export interface AccessKey extends Audit {
  id: number;
  appId: string;
  secret: string;
  mode: number;
  enabled: boolean;
}

export interface GrayRule {
  clientAppId: string;
  clientIpList: string[];
}

interface Branch {
  /** The cluster that holds its items. */
  name: string;
  parent: string;
  rules: GrayRule[];
}

/** Where a namespace is: Apollo's own spelling of it, `app+cluster+namespace`. */
export type Place = Pick<Namespace, 'appId' | 'clusterName' | 'namespaceName'>;

export interface Message {
  id: number;
  /** The place, with the namespace's name as it was made. */
  label: string;
}

export class Database {
  readonly apps = new Map<string, App>();
  readonly clusters: Cluster[] = [];
  readonly appNamespaces: AppNamespace[] = [];
  readonly namespaces = new Map<string, Namespace>();
  readonly items: Item[] = [];
  readonly releases: Release[] = [];
  readonly accessKeys: AccessKey[] = [];
  readonly #branches = new Map<string, Branch>();
  readonly #messages = new Map<string, Message>();
  readonly #lastIds = new Map<string, number>();
  readonly #listeners = new Set<() => void>();
  readonly #timers = new Set<NodeJS.Timeout>();

  /**
   * @param now the time of what is made
   * @param messageDelayMs how long after a release its message is there; the real one looks once a second
   */
  constructor(
    readonly now: () => Date,
    private readonly messageDelayMs: number,
  ) {}

  /** Calls `listener` after each message. Returns what ends that. */
  onMessage(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Clients that wait for a message. */
  get waiting(): number {
    return this.#listeners.size;
  }

  messageOf(place: Place): Message | undefined {
    return this.#messages.get(idOf(place));
  }

  createApp(fields: Record<string, unknown> & { appId: string; name: string }, by: string): App {
    const app: App = { ...fields, id: this.#next('app'), ...this.#made(by) };
    this.apps.set(app.appId, app);
    this.createCluster(app.appId, 'default', by);
    this.createAppNamespace({ appId: app.appId, name: 'application', format: 'properties' }, by);
    return app;
  }

  clustersOf(appId: string): Cluster[] {
    return this.clusters.filter((cluster) => cluster.appId === appId);
  }

  createCluster(appId: string, name: string, by: string): Cluster {
    const cluster = { id: this.#next('cluster'), name, appId, parentClusterId: 0, ...this.#made(by) };
    this.clusters.push(cluster);
    for (const { name: namespaceName } of this.appNamespaces.filter((made) => made.appId === appId)) {
      this.createNamespace({ appId, clusterName: name, namespaceName }, by);
    }
    return cluster;
  }

  /** Makes a namespace in every cluster of an app. */
  createAppNamespace(
    fields: { appId: string; name: string; format?: string; isPublic?: boolean; comment?: string },
    by: string,
  ): AppNamespace {
    const { appId, name, format = 'properties', isPublic = false, comment = '' } = fields;
    const made = {
      id: this.#next('app namespace'),
      name,
      appId,
      comment,
      format,
      isPublic,
      ...this.#made(by),
    };
    this.appNamespaces.push(made);
    for (const { name: clusterName } of this.clustersOf(appId)) {
      this.createNamespace({ appId, clusterName, namespaceName: name }, by);
    }
    return made;
  }

  createNamespace({ appId, clusterName, namespaceName }: Place, by: string): Namespace {
    const namespace = {
      id: this.#next('namespace'),
      appId,
      clusterName,
      namespaceName,
      ...this.#made(by),
    };
    this.namespaces.set(idOf(namespace), namespace);
    return namespace;
  }

  namespaceAt(place: Place): Namespace | undefined {
    return this.namespaces.get(idOf(place));
  }

  deleteNamespace(namespace: Namespace): void {
    for (const release of this.releases) {
      if (idOf(release) === idOf(namespace)) release.isAbandoned = true;
    }
    this.namespaces.delete(idOf(namespace));
    this.#send(namespace);
  }

  /** The app that shares a namespace of this name with all others. */
  ownerOf(namespaceName: string): string | undefined {
    const wanted = plain(namespaceName);
    return this.appNamespaces.find(({ name, isPublic }) => isPublic && plain(name) === wanted)?.appId;
  }

  itemsOf({ id }: Namespace): Item[] {
    return this.items.filter(({ namespaceId }) => namespaceId === id);
  }

  createItem(
    namespace: Namespace,
    { key, value, comment, lineNum }: Partial<Pick<Item, 'key' | 'value' | 'comment' | 'lineNum'>>,
    by: string,
  ): Item {
    const item = {
      id: this.#next('item'),
      namespaceId: namespace.id,
      key: key ?? '',
      type: 0,
      value: value ?? '',
      comment,
      lineNum: lineNum ?? this.itemsOf(namespace).length + 1,
      ...this.#made(by),
    };
    this.items.push(item);
    return item;
  }

  updateItem(item: Item, value: string, comment: string | undefined, by: string): Item {
    const { dataChangeLastModifiedTime } = this.#made(by);
    Object.assign(item, { value, comment, dataChangeLastModifiedBy: by, dataChangeLastModifiedTime });
    return item;
  }

  deleteItem(id: number): boolean {
    const index = this.items.findIndex((item) => item.id === id);
    if (index >= 0) this.items.splice(index, 1);
    return index >= 0;
  }

  /** Makes what a namespace holds now what clients get. */
  release(namespace: Namespace, name: string, comment: string | undefined, by: string): Release {
    const { appId, clusterName, namespaceName } = namespace;
    const branch = [...this.#branches.values()].find((gray) => gray.name === clusterName);
    const parent = branch && { appId, clusterName: branch.parent, namespaceName };
    const under = parent && this.latestRelease(parent);
    const texts = Object.fromEntries(this.itemsOf(namespace).map(({ key, value }) => [key, value]));
    const release = {
      id: this.#next('release'),
      releaseKey: this.#stamp(),
      name,
      appId,
      clusterName,
      namespaceName,
      configurations: JSON.stringify({ ...textsOf(under), ...texts }),
      comment,
      isAbandoned: false,
      ...this.#made(by),
    };
    this.releases.push(release);
    this.#send(parent ?? namespace);
    return release;
  }

  latestRelease(place: Place): Release | undefined {
    const id = idOf(place);
    return this.releases.findLast((release) => !release.isAbandoned && idOf(release) === id);
  }

  rollBack(release: Release): void {
    release.isAbandoned = true;
    this.#send(release);
  }

  /** A gray release: a cluster of its own, whose releases are for some clients. */
  createBranch(namespace: Namespace, by: string): Namespace {
    const name = this.#stamp();
    this.#branches.set(idOf(namespace), { name, parent: namespace.clusterName, rules: [] });
    return this.createNamespace({ ...namespace, clusterName: name }, by);
  }

  setRules(namespace: Namespace, rules: GrayRule[]): boolean {
    const branch = this.#branches.get(idOf(namespace));
    if (branch === undefined) return false;
    branch.rules = rules;
    this.#send(namespace);
    return true;
  }

  /** The gray release that a client of this address gets, if any. */
  grayRelease(place: Place, clientAppId: string, ip: string | null): Release | undefined {
    const branch = this.#branches.get(idOf(place));
    const meant = ({ clientAppId: app, clientIpList }: GrayRule): boolean =>
      app === clientAppId && clientIpList.some((listed) => listed === ip || listed === '*');
    if (branch === undefined || ip === null || !branch.rules.some(meant)) return undefined;
    return this.latestRelease({ ...place, clusterName: branch.name });
  }

  createAccessKey(appId: string, secret: string, by: string): AccessKey {
    const key = { id: this.#next('key'), secret, appId, mode: 0, enabled: false, ...this.#made(by) };
    this.accessKeys.push(key);
    return key;
  }

  /** Whether messages of releases are on their way. */
  get sending(): boolean {
    return this.#timers.size > 0;
  }

  /** Lets go of what has not been sent. */
  close(): void {
    for (const timer of this.#timers) clearTimeout(timer);
  }

  #send(place: Place): void {
    const name = this.namespaceAt(place)?.namespaceName ?? place.namespaceName;
    const label = `${place.appId}+${place.clusterName}+${name}`;
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      this.#messages.set(idOf(place), { id: this.#next('message'), label });
      for (const listener of [...this.#listeners]) listener();
    }, this.messageDelayMs);
    this.#timers.add(timer);
  }

  #next(kind: string): number {
    const id = (this.#lastIds.get(kind) ?? 0) + 1;
    this.#lastIds.set(kind, id);
    return id;
  }

  #made(by: string): Audit {
    const time = timeText(this.now());
    return {
      dataChangeCreatedBy: by,
      dataChangeLastModifiedBy: by,
      dataChangeCreatedTime: time,
      dataChangeLastModifiedTime: time,
    };
  }

  /** A name that nothing else has, with the time in it: of releases and branches. */
  #stamp(): string {
    const digits = this.now().toISOString().replace(/\D/g, '').slice(0, 14);
    return `${digits}-${randomBytes(8).toString('hex')}`;
  }
}

/** Apollo's spelling of a time in JSON. */
export function timeText(time: Date): string {
  return time.toISOString().replace('Z', '+0000');
}

export function textsOf(release: Release | undefined): ItemTexts {
  return release === undefined ? {} : (JSON.parse(release.configurations) as ItemTexts);
}

function idOf({ appId, clusterName, namespaceName }: Place): string {
  return `${appId}+${clusterName}+${plain(namespaceName)}`;
}

/** The same for all spellings of a namespace's name. */
function plain(namespaceName: string): string {
  return namespaceName.toLowerCase().replace(/\.properties$/, '');
}
