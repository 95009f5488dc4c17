import type { Audit, Database, Item, Namespace, Release } from './database.js';
import { textsOf } from './database.js';
import type { Exchange } from './exchange.js';

/** Bounds of Apollo's as it is installed. */
const MOST_KEY = 128;
const MOST_VALUE = 20_000;
const MOST_NAME = 32;

const ENV = 'openapi/v1/envs/*';
const CLUSTER = `${ENV}/apps/*/clusters/*`;
const NAMESPACE = `${CLUSTER}/namespaces/*`;

export interface OpenApiOptions {
  database: Database;
  /** Apps that each token may change. */
  tokens: ReadonlyMap<string, readonly string[]>;
  /** Environments that are there. */
  envs: readonly string[];
  /** Users that changes may be made for. */
  users: readonly string[];
}

/** The portal's open API: what other programs change configuration with. */
export class OpenApi {
  constructor(private readonly options: OpenApiOptions) {}

  handle(exchange: Exchange): void {
    const apps = this.options.tokens.get(exchange.request.headers.authorization ?? '');
    if (apps === undefined) return exchange.refuse(401);
    const { path, method } = exchange;
    const appId = path[2] === 'apps' ? (path[3] ?? '') : (path[5] ?? '');
    if (method !== 'GET' && !apps.includes(appId))
      return exchange.explain(403, 'AccessDeniedException', 'Access is denied');
    const env = path[2] === 'envs' ? (path[3] ?? '') : undefined;
    if (env !== undefined && !this.options.envs.includes(env))
      return exchange.badRequest(`invalid env name: ${env}`);
    if (exchange.match('GET', 'openapi/v1/apps/*/envclusters')) this.#envClusters(exchange, appId);
    else if (exchange.match('POST', 'openapi/v1/apps/*/appnamespaces'))
      this.#createNamespace(exchange, appId);
    else this.#inCluster(exchange);
  }

  #envClusters(exchange: Exchange, appId: string): void {
    const clusters = this.options.database.clustersOf(appId).map(({ name }) => name);
    exchange.json(this.options.envs.map((env) => ({ env, clusters })));
  }

  #createNamespace(exchange: Exchange, appId: string): void {
    const { database } = this.options;
    const name = exchange.text('name');
    const by = exchange.text('dataChangeCreatedBy');
    const format = exchange.text('format');
    if (!/^[\w.-]+$/.test(name) || name.length > MOST_NAME)
      return exchange.badRequest(`Invalid Namespace format: ${name}`);
    if (!['properties', 'xml', 'json', 'yml', 'yaml', 'txt'].includes(format))
      return exchange.badRequest(`Invalid namespace format. format = ${format}`);
    if (!this.#isUser(exchange, by)) return;
    const made = format === 'properties' ? name : `${name}.${format}`;
    if (database.appNamespaces.some((one) => one.appId === appId && one.name === made))
      return exchange.badRequest(`${made} already exists`);
    const isPublic = exchange.body['isPublic'] === true;
    const namespace = database.createAppNamespace({ appId, name: made, format, isPublic }, by);
    exchange.json({ ...namespace, id: undefined });
  }

  #inCluster(exchange: Exchange): void {
    const { database } = this.options;
    const [, , , , , appId = '', , clusterName = '', , namespaceName = ''] = exchange.path;
    if (exchange.match('GET', CLUSTER)) {
      const cluster = database.clustersOf(appId).find(({ name }) => name === clusterName);
      return cluster === undefined ? exchange.refuse(404) : exchange.json({ ...cluster, id: undefined });
    }
    const namespace = database.namespaceAt({ appId, clusterName, namespaceName });
    if (namespace === undefined)
      return exchange.explain(404, 'NotFoundException', `namespace not found: ${namespaceName}`);
    const item = exchange.match('PUT', `${NAMESPACE}/items/*`)?.[4];
    const read = exchange.match('GET', `${NAMESPACE}/items/*`)?.[4];
    const deleted = exchange.match('DELETE', `${NAMESPACE}/items/*`)?.[4];
    if (exchange.match('GET', NAMESPACE)) this.#namespace(exchange, namespace);
    else if (exchange.match('GET', `${NAMESPACE}/items`)) this.#page(exchange, namespace);
    else if (exchange.match('POST', `${NAMESPACE}/items`)) this.#createItem(exchange, namespace);
    else if (read !== undefined) this.#item(exchange, namespace, read);
    else if (item !== undefined) this.#putItem(exchange, namespace, item);
    else if (deleted !== undefined) this.#deleteItem(exchange, namespace, deleted);
    else if (exchange.match('POST', `${NAMESPACE}/releases`)) this.#release(exchange, namespace);
    else if (exchange.match('GET', `${NAMESPACE}/releases/latest`))
      exchange.json(openRelease(database.latestRelease(namespace)));
    else exchange.refuse(404);
  }

  #namespace(exchange: Exchange, namespace: Namespace): void {
    const { database } = this.options;
    const { appId, namespaceName } = namespace;
    const made = database.appNamespaces.find((one) => one.appId === appId && one.name === namespaceName);
    const { format = 'properties', isPublic = false, comment = '' } = made ?? {};
    const items = database.itemsOf(namespace).map(openItem);
    exchange.json({ ...namespace, id: undefined, comment, format, isPublic, items });
  }

  #page(exchange: Exchange, namespace: Namespace): void {
    const items = this.options.database.itemsOf(namespace);
    const page = Number(exchange.query.get('page') ?? 0);
    const size = Number(exchange.query.get('size') ?? 50);
    const content = items.slice(page * size, (page + 1) * size).map(openItem);
    exchange.json({ content, page, size, total: items.length });
  }

  #item(exchange: Exchange, namespace: Namespace, key: string): void {
    const item = this.#find(namespace, key);
    if (item === undefined) exchange.explain(404, 'NotFoundException', `item not found: ${key}`);
    else exchange.json(openItem(item));
  }

  #createItem(exchange: Exchange, namespace: Namespace): void {
    const by = exchange.text('dataChangeCreatedBy');
    const key = exchange.text('key');
    if (!this.#isUser(exchange, by) || !isItem(exchange)) return;
    if (this.#find(namespace, key) !== undefined) return exchange.badRequest('item already exists');
    const { value, comment } = textOf(exchange);
    exchange.json(openItem(this.options.database.createItem(namespace, { key, value, comment }, by)));
  }

  #putItem(exchange: Exchange, namespace: Namespace, key: string): void {
    const { database } = this.options;
    const by = exchange.text('dataChangeLastModifiedBy');
    if (exchange.text('key') !== key) return exchange.badRequest('Key in path and payload is not consistent');
    if (!this.#isUser(exchange, by) || !isItem(exchange)) return;
    const item = this.#find(namespace, key);
    const { value, comment } = textOf(exchange);
    if (item !== undefined) database.updateItem(item, value, comment, by);
    else if (exchange.query.get('createIfNotExists') !== 'true')
      return exchange.explain(404, 'NotFoundException', `item not found: ${key}`);
    else {
      const creator = exchange.text('dataChangeCreatedBy');
      if (!this.#isUser(exchange, creator)) return;
      database.createItem(namespace, { key, value, comment }, creator);
    }
    exchange.done();
  }

  #deleteItem(exchange: Exchange, namespace: Namespace, key: string): void {
    if (!this.#isUser(exchange, exchange.query.get('operator') ?? '')) return;
    const item = this.#find(namespace, key);
    if (item === undefined) return exchange.explain(404, 'NotFoundException', `item not found: ${key}`);
    this.options.database.deleteItem(item.id);
    exchange.done();
  }

  #release(exchange: Exchange, namespace: Namespace): void {
    const title = exchange.text('releaseTitle');
    const by = exchange.text('releasedBy');
    if (title === '' || by === '')
      return exchange.badRequest('Params(releaseTitle and releasedBy) can not be empty');
    if (!this.#isUser(exchange, by)) return;
    const comment = exchange.text('releaseComment');
    exchange.json(openRelease(this.options.database.release(namespace, title, comment, by)));
  }

  #find(namespace: Namespace, key: string): Item | undefined {
    return this.options.database.itemsOf(namespace).find((item) => item.key === key);
  }

  /** Refuses changes in the name of somebody who is not there. */
  #isUser(exchange: Exchange, user: string): boolean {
    if (this.options.users.includes(user)) return true;
    exchange.badRequest(`User ${user} doesn't exist!`);
    return false;
  }
}

/** Refuses keys and values that are none, or too long. */
function isItem(exchange: Exchange): boolean {
  const key = exchange.text('key');
  const problem =
    key === ''
      ? 'key can not be empty'
      : key.length > MOST_KEY
        ? `key too long. length limit:${MOST_KEY}`
        : exchange.text('value').length > MOST_VALUE
          ? `value too long. length limit:${MOST_VALUE}`
          : undefined;
  if (problem !== undefined) exchange.badRequest(problem);
  return problem === undefined;
}

function textOf(exchange: Exchange): { value: string; comment: string } {
  return { value: exchange.text('value'), comment: exchange.text('comment') };
}

type OpenItem = Audit & Pick<Item, 'key' | 'value' | 'comment'>;

function openItem({
  id: _id,
  namespaceId: _namespace,
  type: _type,
  lineNum: _line,
  ...item
}: Item): OpenItem {
  return item;
}

function openRelease(release: Release | undefined): unknown {
  if (release === undefined) return null;
  const { releaseKey: _key, isAbandoned: _abandoned, ...fields } = release;
  return { ...fields, configurations: textsOf(release) };
}
