import type { Database, GrayRule, Namespace } from './database.js';
import type { Exchange } from './exchange.js';

const NAMESPACE = 'apps/*/clusters/*/namespaces/*';

/** What Apollo's own portal asks for, as far as the recordings do: it fills a database for tests. */
export class AdminService {
  constructor(private readonly database: Database) {}

  handle(exchange: Exchange): void {
    const { database } = this;
    const by = exchange.text('dataChangeCreatedBy') || exchange.text('operator');
    let found: string[] | undefined;
    const is = (method: string, pattern: string): boolean =>
      (found = exchange.match(method, pattern)) !== undefined;
    const part = (index: number): string => found?.[index] ?? '';
    if (is('POST', 'apps')) {
      const fields = exchange.body as { appId: string; name: string };
      exchange.json(database.createApp(fields, by));
    } else if (is('GET', 'apps/*/clusters')) exchange.json(database.clustersOf(part(0)));
    else if (is('POST', 'apps/*/clusters'))
      exchange.json(database.createCluster(part(0), exchange.text('name'), by));
    else if (is('POST', 'apps/*/appnamespaces')) {
      const fields = exchange.body as { name: string; format: string; isPublic: boolean; comment: string };
      exchange.json(database.createAppNamespace({ ...fields, appId: part(0) }, by));
    } else if (is('POST', 'apps/*/accesskeys'))
      exchange.json(database.createAccessKey(part(0), exchange.text('secret'), by));
    else if (is('PUT', 'apps/*/accesskeys/*/enable')) this.#enable(exchange, Number(part(1)), true);
    else if (is('PUT', 'apps/*/accesskeys/*/disable')) this.#enable(exchange, Number(part(1)), false);
    else if (is('GET', 'apps/*/clusters/*/namespaces')) {
      const all = [...database.namespaces.values()];
      exchange.json(all.filter(({ appId, clusterName }) => appId === part(0) && clusterName === part(1)));
    } else if (is('POST', 'apps/*/clusters/*/namespaces')) {
      const place = { appId: part(0), clusterName: part(1), namespaceName: exchange.text('namespaceName') };
      exchange.json(database.createNamespace(place, by));
    } else if (is('DELETE', 'items/*')) {
      if (database.deleteItem(Number(part(0)))) exchange.done();
      else exchange.refuse(404);
    } else if (is('PUT', 'releases/*/rollback')) {
      const release = database.releases.find(({ id }) => id === Number(part(0)));
      if (release === undefined) return exchange.refuse(404);
      database.rollBack(release);
      exchange.done();
    } else this.#inNamespace(exchange);
  }

  #enable(exchange: Exchange, id: number, enabled: boolean): void {
    const key = this.database.accessKeys.find((one) => one.id === id);
    if (key === undefined) return exchange.refuse(404);
    key.enabled = enabled;
    exchange.done();
  }

  /** What is below a namespace, which must be there. */
  #inNamespace(exchange: Exchange): void {
    const { database } = this;
    const [apps, appId = '', clusters, clusterName = '', namespaces, namespaceName = '', ...rest] =
      exchange.path;
    const isNamespace = apps === 'apps' && clusters === 'clusters' && namespaces === 'namespaces';
    const namespace = isNamespace ? database.namespaceAt({ appId, clusterName, namespaceName }) : undefined;
    if (namespace === undefined) return exchange.refuse(404);
    const below = rest.join('/');
    const by = exchange.text('dataChangeCreatedBy') || exchange.text('operator');
    if (below === '') this.#namespace(exchange, namespace);
    else if (exchange.match('GET', `${NAMESPACE}/items`)) exchange.json(database.itemsOf(namespace));
    else if (exchange.match('POST', `${NAMESPACE}/items`))
      exchange.json(database.createItem(namespace, exchange.body, by));
    else if (exchange.match('PUT', `${NAMESPACE}/items/*`)) this.#updateItem(exchange, Number(rest[1]));
    else if (exchange.match('GET', `${NAMESPACE}/releases/latest`))
      exchange.json(database.latestRelease(namespace));
    else if (exchange.match('POST', `${NAMESPACE}/releases`)) {
      const comment = typeof exchange.body['comment'] === 'string' ? exchange.body['comment'] : undefined;
      exchange.json(database.release(namespace, exchange.text('name'), comment, by));
    } else if (exchange.match('POST', `${NAMESPACE}/branches`))
      exchange.json(database.createBranch(namespace, exchange.query.get('operator') ?? ''));
    else if (exchange.match('PUT', `${NAMESPACE}/branches/*/rules`)) {
      if (database.setRules(namespace, exchange.body['ruleItems'] as GrayRule[])) exchange.done();
      else exchange.refuse(404);
    } else exchange.refuse(404);
  }

  #namespace(exchange: Exchange, namespace: Namespace): void {
    if (exchange.method === 'GET') return exchange.json(namespace);
    if (exchange.method !== 'DELETE') return exchange.refuse(405);
    this.database.deleteNamespace(namespace);
    exchange.done();
  }

  #updateItem(exchange: Exchange, id: number): void {
    const item = this.database.items.find((one) => one.id === id);
    if (item === undefined) return exchange.refuse(404);
    const by = exchange.text('dataChangeLastModifiedBy');
    exchange.json(this.database.updateItem(item, exchange.text('value'), exchange.text('comment'), by));
  }
}
