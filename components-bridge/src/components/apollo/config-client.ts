import { createHmac } from 'node:crypto';

import { z } from 'zod';

import { parseBase } from './metadata.js';
import { ApolloUnavailable, ask, json, refusal } from './http.js';
import type { Answer, Question } from './http.js';

/** A real server holds a question for changes for 60 s. */
const HOLD_MS = 90_000;
/** How long a list of config services is used. */
const SERVERS_MS = 300_000;
/** Most config services that are tried. */
const MOST_SERVERS = 20;
/** Most namespaces of one question, so that its URL is not too long. */
const LONGEST_URL = 7_000;

/** What a namespace holds, as its newest release says. */
const releaseSchema = z.object({
  cluster: z.string(),
  releaseKey: z.string(),
  configurations: z.record(z.string(), z.string()),
});
export type Release = z.output<typeof releaseSchema>;

const notificationsSchema = z.array(z.object({ namespaceName: z.string(), notificationId: z.number() }));
export type Notifications = z.output<typeof notificationsSchema>;

const servicesSchema = z.array(z.object({ homepageUrl: z.string() }));

export interface ConfigClientOptions {
  /** Addresses of meta services. */
  addresses: readonly string[];
  appId: string;
  cluster: string;
  dataCenter: string | undefined;
  /** Access key; undefined: questions are not signed. */
  secret: string | undefined;
  timeoutMs: number;
}

/** Reads from Apollo's config services, which the meta service knows: the next one when one fails. */
export class ConfigClient {
  #servers: string[] = [];
  /** Until when they are used, on the clock of `performance`. */
  #until = 0;

  constructor(private readonly options: ConfigClientOptions) {}

  /**
   * What a namespace holds.
   *
   * @param known what it held when it was read before, which is returned if it holds that still
   * @returns undefined if there is no such namespace, or nothing was released in it
   * @throws ApolloUnavailable or ApolloRefused
   */
  async load(namespace: string, known: Release | undefined): Promise<Release | undefined> {
    const { appId, cluster, dataCenter, timeoutMs } = this.options;
    const query = new URLSearchParams();
    if (known !== undefined) query.set('releaseKey', known.releaseKey);
    if (dataCenter) query.set('dataCenter', dataCenter);
    const path = `/configs/${[appId, cluster, namespace].map(encodeURIComponent).join('/')}`;
    return this.#ask(`${path}?${query.toString()}`, { timeoutMs }, (url, answer) => {
      if (answer.status === 304) return known;
      if (answer.status === 404) return undefined;
      return understood(releaseSchema, url, this.#accepted(answer));
    });
  }

  /**
   * Waits until one of these namespaces changes, or for about a minute.
   *
   * @param asked namespaces, each with the id of the last change that was heard of, −1 for none
   * @returns those that changed; none if nothing did
   * @throws ApolloUnavailable or ApolloRefused
   */
  async poll(asked: ReadonlyMap<string, number>, signal: AbortSignal): Promise<Notifications> {
    const { appId, cluster, dataCenter } = this.options;
    const notifications = [...asked].map(([namespaceName, notificationId]) => ({
      namespaceName,
      notificationId,
    }));
    const query = new URLSearchParams({ appId, cluster, notifications: JSON.stringify(notifications) });
    if (dataCenter) query.set('dataCenter', dataCenter);
    return this.#ask(`/notifications/v2?${query.toString()}`, { timeoutMs: HOLD_MS, signal }, (url, answer) =>
      answer.status === 304 ? [] : understood(notificationsSchema, url, this.#accepted(answer)),
    );
  }

  /** Whether one more namespace can be asked for in the same question. */
  static hasRoom(asked: ReadonlyMap<string, number>): boolean {
    return encodeURIComponent(JSON.stringify([...asked])).length < LONGEST_URL;
  }

  async #ask<Result>(
    path: string,
    question: Question,
    understand: (url: string, answer: Answer) => Result,
  ): Promise<Result> {
    const servers = await this.#known();
    let last: unknown = new ApolloUnavailable('Apollo names no config service');
    for (const server of servers) {
      const url = server + path;
      try {
        return understand(url, await ask(url, { ...question, headers: this.#signature(url) }));
      } catch (error) {
        if (!(error instanceof ApolloUnavailable) || question.signal?.aborted) throw error;
        last = error;
        this.#giveUp(server);
      }
    }
    throw last;
  }

  /** Config services, the one in use first. */
  async #known(): Promise<string[]> {
    if (this.#servers.length === 0 || performance.now() > this.#until) {
      const [inUse] = this.#servers;
      const found = await this.#discover();
      this.#servers = inUse !== undefined && found.includes(inUse) ? [...new Set([inUse, ...found])] : found;
      this.#until = performance.now() + SERVERS_MS;
    }
    return [...this.#servers];
  }

  /** What the meta service says; if nobody does, the addresses are tried as config services. */
  async #discover(): Promise<string[]> {
    const { addresses, appId, timeoutMs } = this.options;
    for (const address of addresses) {
      const url = `${address}/services/config?${new URLSearchParams({ appId }).toString()}`;
      try {
        const answer = await ask(url, { timeoutMs });
        if (answer.status !== 200) continue;
        const services = understood(servicesSchema, url, answer);
        const found = services.flatMap(({ homepageUrl }) => parseBase(homepageUrl) ?? []);
        if (found.length > 0) return shuffled(found).slice(0, MOST_SERVERS);
      } catch (error) {
        if (!(error instanceof ApolloUnavailable)) throw error;
      }
    }
    return [...addresses];
  }

  /** Another one is asked first from now on, and the meta service is asked again when there is none. */
  #giveUp(server: string): void {
    this.#servers = this.#servers.filter((one) => one !== server);
  }

  #accepted(answer: Answer): Answer {
    if (answer.status === 200) return answer;
    const wrong = this.options.secret === undefined ? 'set secret' : 'check secret, and the clock';
    throw refusal(answer, answer.status === 401 ? `; the app has an access key: ${wrong}` : '');
  }

  #signature(url: string): Record<string, string> {
    const { appId, secret } = this.options;
    if (secret === undefined) return {};
    const { pathname, search } = new URL(url);
    return signature(appId, secret, pathname + search, Date.now());
  }
}

/**
 * The headers by which Apollo knows that a question is of an app: the base64 HMAC-SHA1 of its time, in milliseconds,
 * a line end, and its path with the query as sent.
 */
export function signature(
  appId: string,
  secret: string,
  pathAndQuery: string,
  timeMs: number,
): { Authorization: string; Timestamp: string } {
  const hash = createHmac('sha1', secret).update(`${timeMs}\n${pathAndQuery}`).digest('base64');
  return { Authorization: `Apollo ${appId}:${hash}`, Timestamp: String(timeMs) };
}

function understood<Result>(schema: z.ZodType<Result>, url: string, answer: Answer): Result {
  const parsed = schema.safeParse(json(url, answer));
  if (parsed.success) return parsed.data;
  throw new ApolloUnavailable(`${new URL(url).host}: it is no Apollo, its answer is of another form`);
}

function shuffled<Value>(values: readonly Value[]): Value[] {
  return values
    .map((value) => ({ value, order: Math.random() }))
    .sort((a, b) => a.order - b.order)
    .map(({ value }) => value);
}
