import type { ApolloModel, Changed, Item, Namespace, Release } from './model.js';
import type { Exchange, Route } from './web.js';

/** Apollo's default limits, in characters. */
const LONGEST_KEY = 128;
const LONGEST_VALUE = 20_000;

export interface OpenApiOptions {
  model: ApolloModel;
  /** What requests must bear in `authorization`. */
  token: string;
  /** The one environment that there is. */
  env: string;
}

const EXCEPTION = 'BadRequestException';

/** The portal's open API, by its public documentation: what other programs change configurations with. */
export function openApiRoutes({ model, token, env }: OpenApiOptions): Route[] {
  const guarded =
    (handle: Route[2]): Route[2] =>
    (exchange, ...parts) => {
      if (exchange.request.headers.authorization !== token) {
        return exchange.send(401, '{"message":"Unauthorized"}');
      }
      handle(exchange, ...parts);
    };
  /** Does something with a namespace that is there. */
  const on = (handle: (exchange: Exchange, namespace: Namespace, ...more: string[]) => void): Route[2] =>
    guarded((exchange, asked, appId = '', cluster = '', name = '', ...more) => {
      if (asked?.toUpperCase() !== env) return exchange.object(400, EXCEPTION, `env: ${asked} not exist`);
      const namespace = model.namespace(appId, cluster, name);
      if (namespace === undefined) {
        return exchange.object(404, 'NotFoundException', `namespace not found for appId:${appId} ${name}`);
      }
      handle(exchange, namespace, ...more);
    });
  const find = (namespace: Namespace, key: string): Item | undefined =>
    model.items(namespace).find((item) => item.key === key);

  function create(exchange: Exchange, namespace: Namespace): void {
    const by = exchange.text('dataChangeCreatedBy');
    const key = exchange.text('key') ?? '';
    if (!by) return exchange.object(400, EXCEPTION, 'dataChangeCreatedBy should not be null or empty');
    if (find(namespace, key) !== undefined) return exchange.object(400, EXCEPTION, 'item already exists');
    put(exchange, namespace, key, by, () => undefined);
  }

  function update(exchange: Exchange, namespace: Namespace, key = ''): void {
    const item = find(namespace, key);
    const by = exchange.text('dataChangeLastModifiedBy');
    if (exchange.text('key') !== key)
      return exchange.object(400, EXCEPTION, 'Key in path and payload is not consistent');
    if (!by) return exchange.object(400, EXCEPTION, 'dataChangeLastModifiedBy can not be empty');
    if (item === undefined && exchange.query.get('createIfNotExists') !== 'true') {
      return exchange.object(404, 'NotFoundException', `item not found for key:${key}`);
    }
    put(exchange, namespace, key, by, () => item);
  }

  function put(
    exchange: Exchange,
    namespace: Namespace,
    key: string,
    by: string,
    old: () => Item | undefined,
  ): void {
    const value = exchange.text('value') ?? '';
    if (key === '' || key.length > LONGEST_KEY) {
      return exchange.object(
        400,
        EXCEPTION,
        `key should not be empty or too long. length limit:${LONGEST_KEY}`,
      );
    }
    if (value.length > LONGEST_VALUE) {
      return exchange.object(400, EXCEPTION, `value too long. length limit:${LONGEST_VALUE}`);
    }
    const found = old();
    const comment = exchange.text('comment');
    const item = found ?? model.createItem(namespace.id, { key, value, comment, lineNum: 1 }, by);
    if (found !== undefined) model.updateItem(found, value, by);
    exchange.send(200, found === undefined ? openItem(item) : undefined);
  }

  function remove(exchange: Exchange, namespace: Namespace, key = ''): void {
    const item = find(namespace, key);
    if (!exchange.query.get('operator')) return exchange.refuse(400);
    if (item === undefined) return exchange.object(400, EXCEPTION, `item not found for key:${key}`);
    model.deleteItem(item.id);
    exchange.send(200);
  }

  function release(exchange: Exchange, namespace: Namespace): void {
    const [title, by] = [exchange.text('releaseTitle'), exchange.text('releasedBy')];
    if (!title || !by) {
      return exchange.object(400, EXCEPTION, 'Params(releaseTitle and releasedBy) can not be empty');
    }
    exchange.send(200, openRelease(model.release(namespace, title, exchange.text('releaseComment'), by)));
  }

  function createNamespace(exchange: Exchange, appId = ''): void {
    const [name, by] = [exchange.text('name'), exchange.text('dataChangeCreatedBy')];
    if (!name || !by || exchange.text('appId') !== appId)
      return exchange.object(400, EXCEPTION, 'bad request');
    const id = model.createAppNamespace(appId, name, exchange.body.isPublic === true, by);
    if (id === undefined)
      return exchange.object(404, 'NotFoundException', `app not found for appId:${appId}`);
    if (id === 0) return exchange.object(400, EXCEPTION, `namespace:${name} already exists`);
    exchange.send(200, exchange.body);
  }

  const within = '^/openapi/v1/envs/([^/]+)/apps/([^/]+)/clusters/([^/]+)/namespaces/([^/]+)';
  return [
    ['POST', /^\/openapi\/v1\/apps\/([^/]+)\/appnamespaces$/, guarded(createNamespace)],
    [
      'GET',
      /^\/openapi\/v1\/apps\/([^/]+)\/envclusters$/,
      guarded((exchange, appId = '') => {
        const clusters = (model.clusters(appId) ?? []).map(({ name }) => name);
        exchange.send(200, [{ env, clusters }]);
      }),
    ],
    [
      'GET',
      new RegExp(`${within}$`),
      on((exchange, namespace) => {
        const { appId, clusterName, namespaceName } = namespace;
        const items = model.items(namespace).map(openItem);
        exchange.send(200, { appId, clusterName, namespaceName, items, ...changedOf(namespace) });
      }),
    ],
    [
      'GET',
      new RegExp(`${within}/items/([^/]+)$`),
      on((exchange, namespace, key = '') => {
        const item = find(namespace, key);
        if (item === undefined) exchange.refuse(404);
        else exchange.send(200, openItem(item));
      }),
    ],
    ['POST', new RegExp(`${within}/items$`), on(create)],
    ['PUT', new RegExp(`${within}/items/([^/]+)$`), on(update)],
    ['DELETE', new RegExp(`${within}/items/([^/]+)$`), on(remove)],
    ['POST', new RegExp(`${within}/releases$`), on(release)],
    [
      'GET',
      new RegExp(`${within}/releases/latest$`),
      on((exchange, namespace) => {
        const latest = model.latestRelease(namespace);
        exchange.send(200, latest === undefined ? '' : openRelease(latest));
      }),
    ],
  ];
}

function changedOf(changed: Changed): Changed {
  const { dataChangeCreatedBy, dataChangeLastModifiedBy, dataChangeCreatedTime, dataChangeLastModifiedTime } =
    changed;
  return { dataChangeCreatedBy, dataChangeLastModifiedBy, dataChangeCreatedTime, dataChangeLastModifiedTime };
}

function openItem(item: Item): object {
  const { key, type, value, comment } = item;
  return { key, type, value, comment, ...changedOf(item) };
}

function openRelease(release: Release): object {
  const { appId, clusterName, namespaceName, name, comment } = release;
  const configurations = JSON.parse(release.configurations) as Record<string, string>;
  return { appId, clusterName, namespaceName, name, configurations, comment, ...changedOf(release) };
}
