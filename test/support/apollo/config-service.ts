import { createHmac, timingSafeEqual } from 'node:crypto';

import { contentsOf } from './model.js';
import type { ApolloModel, Reader } from './model.js';
import { TEXT_TYPE } from './web.js';
import type { Exchange, Route } from './web.js';

/** How far a client's clock may be off, in milliseconds. */
const CLOCK_TOLERANCE_MS = 60_000;

/** Namespaces that are one text, kept under the key `content`. */
const IS_TEXT = /\.(json|ya?ml|xml|txt)$/i;

export interface ConfigServiceOptions {
  model: ApolloModel;
  /** How long a question for changes is held. */
  holdMs: number;
  /** Where services are, by name. */
  urlsOf: (service: string) => string[] | undefined;
}

interface Asked {
  namespaceName: string;
  notificationId: number;
}

/** What clients read from: the meta service, configurations, and notifications of changes. */
export function configServiceRoutes({ model, holdMs, urlsOf }: ConfigServiceOptions): Route[] {
  const readerOf = ({ query }: Exchange, appId: string, cluster: string): Reader => {
    return {
      appId,
      cluster,
      dataCenter: query.get('dataCenter') ?? undefined,
      ip: query.get('ip') ?? undefined,
    };
  };

  function config(exchange: Exchange, appId = '', cluster = '', namespace = ''): void {
    if (!isSigned(exchange, appId, model)) return exchange.refuse(401);
    const found = model.read(readerOf(exchange, appId, cluster), namespace);
    const [first] = found;
    if (first === undefined) return exchange.refuse(404);
    const releaseKey = found.map((release) => release.releaseKey).join('+');
    if (releaseKey === exchange.query.get('releaseKey')) return exchange.send(304);
    exchange.send(200, {
      appId,
      cluster: first.clusterName,
      namespaceName: namespace,
      configurations: contentsOf(...found),
      releaseKey,
    });
  }

  function file(kind: string, exchange: Exchange, appId = '', cluster = '', namespace = ''): void {
    if (!isSigned(exchange, appId, model)) return exchange.refuse(401);
    const found = model.read(readerOf(exchange, appId, cluster), namespace);
    if (found.length === 0) return exchange.refuse(404);
    const contents = contentsOf(...found);
    if (kind === 'json') return exchange.send(200, contents);
    if (kind === 'raw' && IS_TEXT.test(namespace)) {
      return exchange.send(200, contents.content ?? '', /\.json$/i.test(namespace) ? undefined : TEXT_TYPE);
    }
    const keys = Object.keys(contents).sort();
    exchange.send(200, keys.map((key) => `${key}=${contents[key]}\n`).join(''), TEXT_TYPE);
  }

  /** Answers when something of what was asked for has changed, or after a while that nothing has. */
  function notifications(exchange: Exchange, asked: readonly Asked[], one: boolean): void {
    const { query } = exchange;
    const [appId, cluster] = [query.get('appId'), query.get('cluster')];
    if (!appId || !cluster) return exchange.refuse(400);
    if (!isSigned(exchange, appId, model)) return exchange.refuse(401);
    const reader = readerOf(exchange, appId, cluster);
    const answer = (): boolean => {
      const changed = asked.flatMap(({ namespaceName, notificationId }) => {
        const messages = model.messages(reader, namespaceName);
        const newest = Math.max(-1, ...messages.map(({ id }) => id));
        if (newest <= notificationId) return [];
        const details = Object.fromEntries(messages.map(({ id, label }) => [label, id]));
        const name = namespaceName.replace(/\.properties$/i, '');
        return [{ namespaceName: name, notificationId: newest, messages: { details } }];
      });
      const [first] = changed;
      if (first === undefined) return false;
      const { namespaceName, notificationId } = first;
      // A real server's order is its own, whatever the order asked in.
      changed.sort((a, b) => (a.namespaceName < b.namespaceName ? -1 : 1));
      exchange.send(200, one ? { namespaceName, notificationId } : changed);
      return true;
    };
    if (answer()) return;
    const end = (): void => {
      clearTimeout(timer);
      forget();
    };
    const timer = setTimeout(() => {
      end();
      exchange.send(304);
    }, holdMs);
    const forget = model.onMessage(() => {
      if (answer()) end();
    });
    exchange.response.once('close', end);
  }

  function notificationsV2(exchange: Exchange): void {
    const text = exchange.query.get('notifications');
    if (text === null || !exchange.query.get('appId')) return exchange.refuse(400);
    const asked = listOf(text);
    if (asked === undefined) {
      return exchange.object(400, 'BadRequestException', `invalid notifications format:${text}`);
    }
    notifications(exchange, asked, false);
  }

  function notificationsV1(exchange: Exchange): void {
    const namespaceName = exchange.query.get('namespace') ?? 'application';
    const notificationId = Number(exchange.query.get('notificationId') ?? -1);
    notifications(exchange, [{ namespaceName, notificationId }], true);
  }

  function services(exchange: Exchange, name = ''): void {
    const urls = urlsOf(name);
    if (urls === undefined) return exchange.refuse(404);
    const appName = `apollo-${name}service`;
    exchange.send(
      200,
      urls.map((url) => ({ appName, instanceId: `${url}/`, homepageUrl: `${url}/` })),
    );
  }

  const place = '([^/]+)/([^/]+)/([^/]+)';
  return [
    ['GET', /^\/health$/, (exchange) => exchange.send(200, { status: 'UP' })],
    ['GET', /^\/services\/(config|admin)$/, services],
    ['GET', new RegExp(`^/configs/${place}$`), config],
    ['GET', new RegExp(`^/configfiles/json/${place}$`), (...call) => file('json', ...call)],
    ['GET', new RegExp(`^/configfiles/raw/${place}$`), (...call) => file('raw', ...call)],
    ['GET', new RegExp(`^/configfiles/${place}$`), (...call) => file('properties', ...call)],
    ['GET', /^\/notifications\/v2$/, notificationsV2],
    ['GET', /^\/notifications$/, notificationsV1],
  ];
}

/** Undefined if it is not a list with something in it. */
function listOf(text: string): Asked[] | undefined {
  try {
    const list: unknown = JSON.parse(text);
    return Array.isArray(list) && list.length > 0 ? (list as Asked[]) : undefined;
  } catch {
    return undefined;
  }
}

/** Whether a request bears a signature by one of the app's keys, if it has any that are enabled. */
function isSigned({ request }: Exchange, appId: string, model: ApolloModel): boolean {
  const keys = model.accessKeys.filter((key) => key.appId === appId && key.enabled);
  if (keys.length === 0) return true;
  const { timestamp, authorization = '' } = request.headers;
  if (typeof timestamp !== 'string' || !(Math.abs(Date.now() - Number(timestamp)) <= CLOCK_TOLERANCE_MS)) {
    return false;
  }
  return keys.some(({ secret }) => {
    const signature = createHmac('sha1', secret).update(`${timestamp}\n${request.url}`).digest('base64');
    const [wanted, found] = [Buffer.from(`Apollo ${appId}:${signature}`), Buffer.from(authorization)];
    return wanted.length === found.length && timingSafeEqual(wanted, found);
  });
}
