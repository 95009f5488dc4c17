import { mayRead } from './access-keys.js';
import { textsOf } from './database.js';
import type { Database, ItemTexts, Message, Place, Release } from './database.js';
import type { Exchange } from './exchange.js';

/** How long a client waits for changes before it is told that there are none; Apollo's own figure. */
export const HOLD_MS = 60_000;

export interface ConfigServiceOptions {
  database: Database;
  holdMs: number;
  /** Addresses of the services that are there, by the name that clients ask for. */
  services: () => Readonly<Record<'config' | 'admin', readonly string[]>>;
}

interface Asked {
  namespaceName: string;
  notificationId: number;
}

/** What clients read: where services are, configurations, and changes as they come. */
export class ConfigService {
  constructor(private readonly options: ConfigServiceOptions) {}

  handle(exchange: Exchange): void {
    const [service] = exchange.match('GET', 'services/*') ?? [];
    const configs = exchange.match('GET', 'configs/*/*/*');
    const file = exchange.match('GET', 'configfiles/*/*/*');
    const typedFile = exchange.match('GET', 'configfiles/*/*/*/*');
    if (service === 'config' || service === 'admin') this.#services(exchange, service);
    else if (configs !== undefined) this.#configs(exchange, placeOf(configs));
    else if (typedFile !== undefined) this.#file(exchange, placeOf(typedFile.slice(1)), typedFile[0] ?? '');
    else if (file !== undefined) this.#file(exchange, placeOf(file), 'properties');
    else if (exchange.match('GET', 'notifications/v2')) this.#notifications(exchange);
    else if (exchange.match('GET', 'notifications')) this.#oneNotification(exchange);
    else exchange.refuse(404);
  }

  #services(exchange: Exchange, name: 'config' | 'admin'): void {
    const appName = `apollo-${name}service`;
    const { [name]: urls } = this.options.services();
    exchange.json(urls.map((url) => ({ appName, instanceId: `${url}/`, homepageUrl: `${url}/` })));
  }

  #configs(exchange: Exchange, place: Place): void {
    const { appId, namespaceName } = place;
    if (!mayRead(exchange, appId, this.options.database)) return exchange.refuse(401);
    const releases = this.#releases(exchange, place);
    const [first] = releases;
    if (first === undefined) return exchange.refuse(404);
    const releaseKey = releases.map((release) => release.releaseKey).join('+');
    if (releaseKey === exchange.query.get('releaseKey')) return exchange.notModified(false);
    const { clusterName: cluster } = first;
    exchange.json({ appId, cluster, namespaceName, configurations: merged(releases), releaseKey });
  }

  #file(exchange: Exchange, place: Place, kind: string): void {
    if (!mayRead(exchange, place.appId, this.options.database)) return exchange.refuse(401);
    const releases = this.#releases(exchange, place);
    if (releases.length === 0) return exchange.refuse(404);
    const texts = merged(releases);
    const format = /\.(json|ya?ml|xml|txt)$/i.exec(place.namespaceName)?.[1]?.toLowerCase();
    if (kind === 'json') return exchange.json(texts);
    if (kind === 'raw' && format !== undefined)
      return exchange.plainText(texts['content'] ?? '', format === 'json');
    const lines = Object.entries(texts).map(([key, value]) => `${key}=${value}\n`);
    exchange.plainText(lines.sort().join(''));
  }

  /** What a client gets: the app's own release, and below it the one of the app that shares the namespace. */
  #releases(exchange: Exchange, { appId, clusterName, namespaceName }: Place): Release[] {
    const { database } = this.options;
    const releaseOf = (app: string): Release | undefined => {
      for (const cluster of clustersFor(exchange, clusterName)) {
        const place = { appId: app, clusterName: cluster, namespaceName };
        const found =
          database.grayRelease(place, appId, exchange.query.get('ip')) ?? database.latestRelease(place);
        if (found !== undefined) return found;
      }
      return undefined;
    };
    return this.#appsOf(appId, namespaceName)
      .map(releaseOf)
      .filter((release) => release !== undefined);
  }

  #appsOf(appId: string, namespaceName: string): string[] {
    const owner = this.options.database.ownerOf(namespaceName);
    return owner === undefined || owner === appId ? [appId] : [appId, owner];
  }

  #notifications(exchange: Exchange): void {
    const text = exchange.query.get('notifications');
    if (!hasParameters(exchange) || text === null) return exchange.refuse(400);
    const asked = parseAsked(text);
    if (asked === undefined) return exchange.badRequest(`invalid notifications format:${text}`);
    this.#wait(exchange, asked, (changed) => changed);
  }

  /** The first form of the question, for one namespace. */
  #oneNotification(exchange: Exchange): void {
    if (!hasParameters(exchange)) return exchange.refuse(400);
    const namespaceName = exchange.query.get('namespace') ?? 'application';
    const notificationId = Number(exchange.query.get('notificationId') ?? -1);
    this.#wait(exchange, [{ namespaceName, notificationId }], ([first]) => {
      return { namespaceName: first?.namespaceName, notificationId: first?.notificationId };
    });
  }

  /** Answers as soon as there is a message that the client has not seen. */
  #wait(exchange: Exchange, asked: readonly Asked[], answer: (changed: Changed[]) => unknown): void {
    const { database, holdMs } = this.options;
    const appId = exchange.query.get('appId') ?? '';
    if (!mayRead(exchange, appId, database)) return exchange.refuse(401);
    const look = (): void => {
      const changed = asked
        .map((one) => this.#changeOf(exchange, appId, one))
        .filter((one) => one !== undefined);
      if (changed.length === 0) return;
      stop();
      exchange.json(answer(changed.sort((a, b) => (a.namespaceName < b.namespaceName ? -1 : 1))));
    };
    const timer = setTimeout(() => {
      stop();
      exchange.notModified(true);
    }, holdMs);
    const forget = database.onMessage(look);
    const stop = (): void => {
      clearTimeout(timer);
      forget();
    };
    exchange.response.on('close', stop);
    look();
  }

  #changeOf(
    exchange: Exchange,
    appId: string,
    { namespaceName, notificationId }: Asked,
  ): Changed | undefined {
    const clusters = clustersFor(exchange, exchange.query.get('cluster') ?? '');
    const messages = this.#appsOf(appId, namespaceName)
      .flatMap((app) => clusters.map((clusterName) => ({ appId: app, clusterName, namespaceName })))
      .map((place) => this.options.database.messageOf(place))
      .filter((message) => message !== undefined);
    const newest = Math.max(-1, ...messages.map(({ id }) => id));
    if (newest <= notificationId) return undefined;
    return {
      namespaceName: namespaceName.replace(/\.properties$/i, ''),
      notificationId: newest,
      messages: { details: detailsOf(messages) },
    };
  }
}

interface Changed extends Asked {
  messages: { details: Record<string, number> };
}

function detailsOf(messages: readonly Message[]): Record<string, number> {
  return Object.fromEntries(messages.map(({ label, id }) => [label, id]));
}

function placeOf([appId = '', clusterName = '', namespaceName = '']: readonly string[]): Place {
  return { appId, clusterName, namespaceName };
}

/** Where a client looks, best first. */
function clustersFor(exchange: Exchange, cluster: string): string[] {
  const dataCenter = exchange.query.get('dataCenter') ?? '';
  return [...new Set([cluster, dataCenter, 'default'])].filter((name) => name !== '');
}

function merged(releases: readonly Release[]): ItemTexts {
  return Object.assign({}, ...[...releases].reverse().map(textsOf)) as ItemTexts;
}

function hasParameters({ query }: Exchange): boolean {
  return Boolean(query.get('appId')) && Boolean(query.get('cluster'));
}

function parseAsked(text: string): Asked[] | undefined {
  try {
    const list = JSON.parse(text) as unknown;
    return Array.isArray(list) && list.length > 0 ? (list as Asked[]) : undefined;
  } catch {
    return undefined;
  }
}
