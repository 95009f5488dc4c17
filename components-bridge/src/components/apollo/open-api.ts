import { setTimeout as sleep } from 'node:timers/promises';

import { ConfigurationError } from '../../primitives/configuration/store.js';
import { reasonOf } from '../../primitives/errors.js';
import { messageIn, releasedIn } from './answers.js';
import type { HttpAnswer, HttpClient, HttpRequest } from './http.js';
import { pauseMs } from './pause.js';

const TIMEOUT_MS = 5_000;
const MOST_BYTES = 16 * 1024 * 1024;
/** How often a change is tried; each is the same however often it is made. */
const TRIES = 3;

export interface OpenApiOptions {
  http: HttpClient;
  address: string;
  token: string;
  user: string;
  env: string;
  appId: string;
  cluster: string;
}

/** Changes configuration through the open API of Apollo's portal. Nothing shows until it is released. */
export class OpenApi {
  constructor(private readonly options: OpenApiOptions) {}

  /** @throws ConfigurationError */
  async put(namespace: string, key: string, value: string): Promise<void> {
    const { user } = this.options;
    const body = { key, value, dataChangeCreatedBy: user, dataChangeLastModifiedBy: user };
    const path = `${this.#namespace(namespace)}/items/${encodeURIComponent(key)}?createIfNotExists=true`;
    await this.#send('PUT', path, body, `save ${JSON.stringify(key)} in namespace ${namespace}`);
  }

  /** @returns whether the key was there @throws ConfigurationError */
  async delete(namespace: string, key: string): Promise<boolean> {
    const query = new URLSearchParams({ key, operator: this.options.user });
    const path = `${this.#namespace(namespace)}/items/${encodeURIComponent(key)}?${query.toString()}`;
    const what = `delete ${JSON.stringify(key)} from namespace ${namespace}`;
    const { status } = await this.#send('DELETE', path, undefined, what, isAbsent);
    if (status < 300) return true;
    // It may also be the namespace that is not there.
    await this.#send('GET', this.#namespace(namespace), undefined, what);
    return false;
  }

  /** Makes what a namespace holds now what readers get. @returns that, by key @throws ConfigurationError */
  async release(namespace: string): Promise<ReadonlyMap<string, string>> {
    const { user } = this.options;
    const body = { releaseTitle: new Date().toISOString().slice(0, 10), releasedBy: user };
    const what = `release namespace ${namespace}`;
    const { text } = await this.#send('POST', `${this.#namespace(namespace)}/releases`, body, what);
    const released = releasedIn(text);
    if (released !== undefined) return released;
    throw new ConfigurationError('failed', `${this.options.address} did not say what it released`);
  }

  /** Makes a namespace, unless it is there. @throws ConfigurationError */
  async createNamespace(name: string): Promise<void> {
    const { appId, user } = this.options;
    const fields = { name, appId, format: 'properties', isPublic: false, dataChangeCreatedBy: user };
    const path = `/openapi/v1/apps/${appId}/appnamespaces`;
    // Apollo says 400 when it is there.
    await this.#send('POST', path, fields, `create namespace ${name}`, ({ status }) => status === 400);
  }

  #namespace(namespace: string): string {
    const { env, appId, cluster } = this.options;
    return `/openapi/v1/envs/${env}/apps/${appId}/clusters/${cluster}/namespaces/${namespace}`;
  }

  /** @param accept whether an answer other than 2xx is good as well */
  async #send(
    method: NonNullable<HttpRequest['method']>,
    path: string,
    body: object | undefined,
    what: string,
    accept: (answer: HttpAnswer) => boolean = () => false,
  ): Promise<HttpAnswer> {
    const { http, address, token } = this.options;
    const headers = { Authorization: token, 'Content-Type': 'application/json;charset=UTF-8' };
    const request = {
      method,
      url: `${address}${path}`,
      headers,
      timeoutMs: TIMEOUT_MS,
      mostBytes: MOST_BYTES,
    };
    const sent = body === undefined ? request : { ...request, body: JSON.stringify(body) };
    for (let attempt = 1; ; attempt++) {
      let reason: string;
      try {
        const answer = await http.send(sent);
        const { status } = answer;
        if ((status >= 200 && status < 300) || accept(answer)) return answer;
        if (status < 500) throw this.#refused(what, answer);
        reason = `${address} answered ${status} ${messageIn(answer.text)}`.trim();
      } catch (error) {
        if (error instanceof ConfigurationError) throw error;
        reason = reasonOf(error);
      }
      if (attempt === TRIES)
        throw new ConfigurationError('unavailable', `Apollo could not be asked to ${what}: ${reason}`);
      await sleep(pauseMs(attempt));
    }
  }

  #refused(what: string, { status, text }: HttpAnswer): ConfigurationError {
    const { appId, cluster, env } = this.options;
    const said = messageIn(text);
    const advice =
      status === 401
        ? 'open_api_token is not known there'
        : status === 403
          ? `open_api_token may not do that with app ${appId}`
          : status === 404
            ? `is there such a namespace of app ${appId} in cluster ${cluster} of ${env}?`
            : status >= 300 && status < 400
              ? 'open_api_address must be of the portal itself, which redirects elsewhere'
              : '';
    const reason = [said, advice].filter((part) => part !== '').join('; ');
    const kind = status === 400 || status === 404 ? 'invalid' : 'failed';
    return new ConfigurationError(kind, `Apollo refused to ${what} (${status}): ${reason}`);
  }
}

/** The two ways in which Apollos say that there is no such item. */
function isAbsent({ status, text }: HttpAnswer): boolean {
  return status === 404 || (status === 400 && /item not exists/i.test(messageIn(text)));
}
