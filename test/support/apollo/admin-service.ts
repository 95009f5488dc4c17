import { timestamp } from './model.js';
import type { ApolloModel, GrayRule, Namespace } from './model.js';
import type { Exchange, Route } from './web.js';

/** Who says to have done it: in the body, or as an operator in body or query. */
function operatorOf(exchange: Exchange): string {
  return (
    exchange.text('dataChangeCreatedBy') ?? exchange.text('operator') ?? exchange.query.get('operator') ?? ''
  );
}

/** What the portal uses to change things. Only what the recordings have. */
export function adminServiceRoutes(model: ApolloModel): Route[] {
  /** Does something with a namespace that is there. */
  const on =
    (handle: (exchange: Exchange, namespace: Namespace, ...more: string[]) => void): Route[2] =>
    (exchange, appId = '', cluster = '', name = '', ...more) => {
      const namespace = model.namespace(appId, cluster, name);
      if (namespace === undefined) return exchange.refuse(404);
      handle(exchange, namespace, ...more);
    };
  const done = (exchange: Exchange, found: boolean): void => {
    if (found) exchange.send(200);
    else exchange.refuse(404);
  };
  const stamps = (by: string): object => {
    const now = timestamp();
    return { dataChangeCreatedTime: now, dataChangeLastModifiedTime: now, dataChangeLastModifiedBy: by };
  };

  const app = '^/apps/([^/]+)';
  const place = `${app}/clusters/([^/]+)/namespaces`;
  const within = `${place}/([^/]+)`;
  return [
    [
      'POST',
      /^\/apps$/,
      (exchange) => {
        const by = operatorOf(exchange);
        const id = model.createApp(exchange.text('appId') ?? '', by);
        exchange.send(200, { id, ...exchange.body, ...stamps(by) });
      },
    ],
    [
      'GET',
      new RegExp(`${app}/clusters$`),
      (exchange, appId = '') => {
        const clusters = model.clusters(appId);
        if (clusters === undefined) exchange.refuse(404);
        else exchange.send(200, clusters);
      },
    ],
    [
      'POST',
      new RegExp(`${app}/clusters$`),
      (exchange, appId = '') => {
        const cluster = model.createCluster(appId, exchange.text('name') ?? '', operatorOf(exchange));
        if (cluster === undefined) exchange.refuse(404);
        else exchange.send(200, cluster);
      },
    ],
    [
      'POST',
      new RegExp(`${app}/appnamespaces$`),
      (exchange, appId = '') => {
        const by = operatorOf(exchange);
        const isPublic = exchange.body.isPublic === true;
        const id = model.createAppNamespace(appId, exchange.text('name') ?? '', isPublic, by);
        if (!id) return exchange.refuse(id === 0 ? 400 : 404);
        const { name, comment, format, dataChangeCreatedBy } = exchange.body;
        const said = { name, appId, comment, format, isPublic, dataChangeCreatedBy };
        exchange.send(200, { id, ...said, ...stamps(by) });
      },
    ],
    [
      'POST',
      new RegExp(`${app}/accesskeys$`),
      (exchange, appId = '') => {
        const secret = exchange.text('secret') ?? '';
        exchange.send(200, model.createAccessKey(appId, secret, operatorOf(exchange)));
      },
    ],
    [
      'PUT',
      new RegExp(`${app}/accesskeys/(\\d+)/(enable|disable)$`),
      (exchange, _appId, id, what) => {
        const key = model.accessKeys.find((one) => one.id === Number(id));
        if (key !== undefined) key.enabled = what === 'enable';
        done(exchange, key !== undefined);
      },
    ],
    [
      'GET',
      new RegExp(`${place}$`),
      (exchange, appId = '', cluster = '') => exchange.send(200, model.namespaces(appId, cluster)),
    ],
    [
      'POST',
      new RegExp(`${place}$`),
      (exchange, appId = '', cluster = '') => {
        const name = exchange.text('namespaceName') ?? '';
        exchange.send(200, model.linkNamespace(appId, cluster, name, operatorOf(exchange)));
      },
    ],
    ['DELETE', /^\/items\/(\d+)$/, (exchange, id) => done(exchange, model.deleteItem(Number(id)))],
    ['PUT', /^\/releases\/(\d+)\/rollback$/, (exchange, id) => done(exchange, model.rollback(Number(id)))],
    ['GET', new RegExp(`${within}$`), on((exchange, namespace) => exchange.send(200, namespace))],
    [
      'DELETE',
      new RegExp(`${within}$`),
      on((exchange, namespace) => {
        model.deleteNamespace(namespace);
        exchange.send(200);
      }),
    ],
    [
      'GET',
      new RegExp(`${within}/items$`),
      on((exchange, namespace) => exchange.send(200, model.items(namespace))),
    ],
    [
      'POST',
      new RegExp(`${within}/items$`),
      on((exchange) => {
        const { namespaceId, lineNum } = exchange.body as { namespaceId: number; lineNum: number };
        const [key = '', value = '', comment] = ['key', 'value', 'comment'].map((name) =>
          exchange.text(name),
        );
        exchange.send(
          200,
          model.createItem(namespaceId, { key, value, comment, lineNum }, operatorOf(exchange)),
        );
      }),
    ],
    [
      'PUT',
      new RegExp(`${within}/items/(\\d+)$`),
      on((exchange, _namespace, id) => {
        const item = model.item(Number(id));
        if (item === undefined) return exchange.refuse(404);
        model.updateItem(item, exchange.text('value') ?? '', exchange.text('dataChangeLastModifiedBy') ?? '');
        exchange.send(200, item);
      }),
    ],
    [
      'POST',
      new RegExp(`${within}/branches$`),
      on((exchange, namespace) => exchange.send(200, model.createBranch(namespace, operatorOf(exchange)))),
    ],
    [
      'PUT',
      new RegExp(`${within}/branches/([^/]+)/rules$`),
      on((exchange, namespace) => {
        model.setRules(namespace, (exchange.body.ruleItems ?? []) as GrayRule[]);
        exchange.send(200);
      }),
    ],
    [
      'GET',
      new RegExp(`${within}/releases/latest$`),
      on((exchange, namespace) => exchange.send(200, model.latestRelease(namespace) ?? '')),
    ],
    [
      'POST',
      new RegExp(`${within}/releases$`),
      on((exchange, namespace) => {
        const [name = '', comment] = [exchange.text('name'), exchange.text('comment')];
        exchange.send(200, model.release(namespace, name, comment, operatorOf(exchange)));
      }),
    ],
  ];
}
