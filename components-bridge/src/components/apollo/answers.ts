/** What Apollo's servers answer, checked: anything may stand at an address. */

/** Servers that a meta service may name. */
const MOST_SERVERS = 64;

/** A released configuration. */
export interface Configuration {
  releaseKey: string;
  texts: ReadonlyMap<string, string>;
}

/** What a waiting client is told of one namespace. */
export interface Notification {
  namespaceName: string;
  notificationId: number;
  /** For the config service, which may answer from a cache: JSON of what it must know at least. */
  messages: string | undefined;
}

/** Addresses of the config services, without slashes at the end; none if it is no such answer. */
export function addressesIn(text: string): string[] {
  const list = parse(text);
  if (!Array.isArray(list)) return [];
  const addresses = list
    .slice(0, MOST_SERVERS)
    .map((service: unknown) => (isObject(service) ? service['homepageUrl'] : undefined))
    .filter((url) => typeof url === 'string' && /^https?:\/\//.test(url) && URL.canParse(url))
    .map((url) => String(url).replace(/\/+$/, ''));
  return [...new Set(addresses)];
}

/** @returns undefined if it is no such answer */
export function configurationIn(text: string): Configuration | undefined {
  const answer = parse(text);
  if (!isObject(answer)) return undefined;
  const { releaseKey, configurations } = answer;
  if (typeof releaseKey !== 'string' || releaseKey === '' || !isObject(configurations)) return undefined;
  const texts = new Map<string, string>();
  for (const [key, value] of Object.entries(configurations)) {
    if (typeof value !== 'string') return undefined;
    texts.set(key, value);
  }
  return { releaseKey, texts };
}

/** What a release holds, as the open API says it; undefined if it is no such answer. */
export function releasedIn(text: string): ReadonlyMap<string, string> | undefined {
  const answer = parse(text);
  const texts = isObject(answer) ? answer['configurations'] : undefined;
  if (!isObject(texts)) return undefined;
  return new Map(Object.entries(texts).map(([key, value]) => [key, String(value)]));
}

/** @returns undefined if it is no such answer */
export function notificationsIn(text: string): Notification[] | undefined {
  const list = parse(text);
  if (!Array.isArray(list) || list.length === 0) return undefined;
  const notifications: Notification[] = [];
  for (const one of list as unknown[]) {
    if (!isObject(one)) return undefined;
    const { namespaceName, notificationId, messages } = one;
    if (typeof namespaceName !== 'string' || !Number.isSafeInteger(notificationId)) return undefined;
    notifications.push({
      namespaceName,
      notificationId: notificationId as number,
      messages: isObject(messages) ? JSON.stringify(messages) : undefined,
    });
  }
  return notifications;
}

/** Whether Apollo itself says that there is nothing, and not something else on the way to it. */
export function isApollosNotFound(text: string): boolean {
  const answer = parse(text);
  return isObject(answer) && answer['status'] === 404;
}

/** Why Apollo refused, as it says it; at most a line. */
export function messageIn(text: string): string {
  const answer = parse(text);
  const said = isObject(answer) ? (answer['message'] ?? answer['error']) : undefined;
  return typeof said === 'string' ? said.slice(0, 200).replace(/[\p{Cc}\s]+/gu, ' ') : '';
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
