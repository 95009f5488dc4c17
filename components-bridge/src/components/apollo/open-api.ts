import { ApolloRefused, ask, refusal } from './http.js';
import type { Answer } from './http.js';

export interface OpenApiOptions {
  address: string;
  token: string;
  /** Who changes, as the portal shows it. */
  user: string;
  env: string;
  appId: string;
  cluster: string;
  timeoutMs: number;
}

/** Changes configurations by the open API of Apollo's portal. */
export class OpenApi {
  constructor(private readonly options: OpenApiOptions) {}

  /** @throws ApolloRefused or ApolloUnavailable */
  async putItem(namespace: string, key: string, value: string): Promise<void> {
    const { user } = this.options;
    const item = { key, value, dataChangeCreatedBy: user, dataChangeLastModifiedBy: user };
    await this.#ask(
      'PUT',
      `${this.#within(namespace)}/items/${encodeURIComponent(key)}?createIfNotExists=true`,
      item,
    );
  }

  /** Deletes an item, which need not be there. @throws ApolloRefused or ApolloUnavailable */
  async deleteItem(namespace: string, key: string): Promise<void> {
    const query = new URLSearchParams({ key, operator: this.options.user });
    try {
      await this.#ask('DELETE', `${this.#within(namespace)}/items/${encodeURIComponent(key)}?${query.toString()}`);
    } catch (error) {
      // Apollo's versions say it with different codes.
      const absent = error instanceof ApolloRefused && /item not found|item.*not exist/i.test(error.message);
      if (!absent) throw error;
    }
  }

  /** Makes what was changed in a namespace what readers see. @throws ApolloRefused or ApolloUnavailable */
  async release(namespace: string): Promise<void> {
    const title = { releaseTitle: new Date().toISOString(), releasedBy: this.options.user };
    await this.#ask('POST', `${this.#within(namespace)}/releases`, title);
  }

  /** Creates a namespace, which may be there already. @throws ApolloRefused or ApolloUnavailable */
  async createNamespace(name: string): Promise<void> {
    const { appId, user } = this.options;
    const namespace = { name, appId, format: 'properties', isPublic: false, dataChangeCreatedBy: user };
    try {
      await this.#ask('POST', `/openapi/v1/apps/${encodeURIComponent(appId)}/appnamespaces`, namespace);
    } catch (error) {
      if (!(error instanceof ApolloRefused && error.status === 400)) throw error;
    }
  }

  #within(namespace: string): string {
    const { env, appId, cluster } = this.options;
    const [e, a, c, n] = [env, appId, cluster, namespace].map(encodeURIComponent);
    return `/openapi/v1/envs/${e}/apps/${a}/clusters/${c}/namespaces/${n}`;
  }

  async #ask(method: string, path: string, body?: object): Promise<Answer> {
    const { address, token, timeoutMs } = this.options;
    const headers = { authorization: token, 'content-type': 'application/json;charset=UTF-8' };
    const question = { method, headers, timeoutMs, ...(body && { body: JSON.stringify(body) }) };
    const answer = await ask(address + path, question);
    if (answer.status >= 200 && answer.status < 300) return answer;
    const denied = answer.status === 401 || answer.status === 403;
    throw refusal(answer, denied ? '; check open_api_token, and what it may do' : '');
  }
}
