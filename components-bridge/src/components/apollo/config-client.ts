import { configurationIn, isApollosNotFound, messageIn, notificationsIn } from './answers.js';
import type { Configuration, Notification } from './answers.js';
import { ApolloFailure, isAway } from './failure.js';
import type { HttpAnswer, HttpClient } from './http.js';
import type { Servers } from './servers.js';
import { signatureHeaders } from './signature.js';

/** Longest configuration of one namespace. */
const MOST_BYTES = 8 * 1024 * 1024;
/** Longest answer to who waits for changes. */
const MOST_POLL_BYTES = 1024 * 1024;
/** Apollo answers who waits after a minute; what takes longer than this is lost. */
const POLL_MS = 75_000;
/** Servers that one request is sent to before it counts as failed. */
const MOST_TRIES = 3;

export interface ConfigClientOptions {
  http: HttpClient;
  servers: Servers;
  appId: string;
  cluster: string;
  /** The app's access key; undefined: requests are not signed. */
  secret: string | undefined;
  /** What gray releases go by. */
  clientIp: string | undefined;
  timeoutMs: number;
}

/** What a read found: a configuration, that it is the one that is known, or that nothing has been released. */
export type ReadResult = Configuration | 'unchanged' | 'absent';

/** Asks config services, one after the other until one answers. */
export class ConfigClient {
  constructor(private readonly options: ConfigClientOptions) {}

  /** @param known the release that is known @throws ApolloFailure */
  async read(
    namespace: string,
    known: string | undefined,
    messages: string | undefined,
  ): Promise<ReadResult> {
    const { appId, cluster, clientIp, timeoutMs } = this.options;
    const query = new URLSearchParams();
    if (clientIp !== undefined) query.set('ip', clientIp);
    if (messages !== undefined) query.set('messages', messages);
    if (known !== undefined) query.set('releaseKey', known);
    const path = `/configs/${appId}/${cluster}/${namespace}?${query.toString()}`;
    return this.#ask(path, timeoutMs, MOST_BYTES, undefined, ({ status, text }) => {
      if (status === 304 && known !== undefined) return 'unchanged';
      if (status === 404 && isApollosNotFound(text)) return 'absent';
      return status === 200 ? configurationIn(text) : undefined;
    });
  }

  /**
   * Waits until a namespace has a message that is newer than the one given.
   *
   * @param seen the last message of each namespace, -1 for none
   * @returns those that have; none if nothing came within Apollo's minute
   * @throws ApolloFailure
   */
  async poll(seen: ReadonlyMap<string, number>, signal: AbortSignal): Promise<Notification[]> {
    const { appId, cluster, clientIp } = this.options;
    const notifications = [...seen].map(([namespaceName, notificationId]) => ({
      namespaceName,
      notificationId,
    }));
    const query = new URLSearchParams({ appId, cluster, notifications: JSON.stringify(notifications) });
    if (clientIp !== undefined) query.set('ip', clientIp);
    const path = `/notifications/v2?${query.toString()}`;
    return this.#ask(path, POLL_MS, MOST_POLL_BYTES, signal, ({ status, text }) =>
      status === 304 ? [] : status === 200 ? notificationsIn(text) : undefined,
    );
  }

  /** @param understand gives undefined for an answer that is none of Apollo's */
  async #ask<Result>(
    path: string,
    timeoutMs: number,
    mostBytes: number,
    signal: AbortSignal | undefined,
    understand: (answer: HttpAnswer) => Result | undefined,
  ): Promise<Result> {
    const { http, servers } = this.options;
    let failure: unknown;
    for (const server of (await servers.candidates()).slice(0, MOST_TRIES)) {
      const url = new URL(`${server}${path}`);
      try {
        const headers = this.#signature(url);
        const abort = signal === undefined ? {} : { signal };
        const answer = await http.send({ url: url.href, headers, timeoutMs, mostBytes, ...abort });
        const result = understand(answer);
        if (result === undefined) throw this.#strange(server, answer);
        servers.answered(server);
        return result;
      } catch (error) {
        if (signal?.aborted || !isAway(error)) throw error;
        failure = error;
        servers.failed(server);
      }
    }
    throw failure;
  }

  #signature({ pathname, search }: URL): Record<string, string> {
    const { appId, secret } = this.options;
    return secret === undefined ? {} : signatureHeaders(appId, secret, `${pathname}${search}`, Date.now());
  }

  #strange(server: string, { status, text }: HttpAnswer): ApolloFailure {
    const { appId, secret } = this.options;
    if (status === 401 || status === 403) {
      const why =
        secret === undefined
          ? `the app has an access key, which must be given as secret`
          : `secret is not an access key of the app, or the clocks differ by more than a minute`;
      return new ApolloFailure('refused', `${server} does not let app ${appId} read (${status}): ${why}`);
    }
    if (status >= 300 && status < 400 && status !== 304)
      return new ApolloFailure('away', `${server} redirects (${status}): address must be Apollo's own`);
    const said = messageIn(text);
    const what = status === 200 ? 'something that is no answer of Apollo' : `${status}${said && `: ${said}`}`;
    return new ApolloFailure('away', `${server} answered ${what}`);
  }
}
