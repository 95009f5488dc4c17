import { Agent, request as httpRequest } from 'node:http';
import type { ClientRequest, IncomingMessage } from 'node:http';
import { Agent as TlsAgent, request as httpsRequest } from 'node:https';

import { reasonOf } from '../../primitives/errors.js';
import { ApolloFailure } from './failure.js';

/** Connections to one server at once; more requests than this wait for one. */
const MOST_CONNECTIONS = 32;
/** How long a connection that nobody uses stays open. */
const IDLE_MS = 30_000;

export interface HttpRequest {
  method?: 'GET' | 'PUT' | 'POST' | 'DELETE';
  url: string;
  headers?: Readonly<Record<string, string>>;
  body?: string;
  /** How long the whole answer may take, in ms. */
  timeoutMs: number;
  /** Longest answer, in bytes. */
  mostBytes: number;
  /** Ends it. Such a request waits for something, and is never sent twice: its server may be another one by then. */
  signal?: AbortSignal;
}

export interface HttpAnswer {
  status: number;
  text: string;
}

/** Requests to Apollo's servers: bounded in time and length, without following redirects. */
export class HttpClient {
  readonly #agent = new Agent({ keepAlive: true, maxSockets: MOST_CONNECTIONS, timeout: IDLE_MS });
  readonly #tlsAgent = new TlsAgent({ keepAlive: true, maxSockets: MOST_CONNECTIONS, timeout: IDLE_MS });
  readonly #open = new Set<ClientRequest>();
  #closed = false;

  /** @throws ApolloFailure naming the server, without what may be secret in the request */
  async send(sent: HttpRequest): Promise<HttpAnswer> {
    const server = new URL(sent.url).origin;
    for (let attempt = 1; ; attempt++) {
      const request = this.#start(sent);
      try {
        return await exchange(request, sent);
      } catch (error) {
        // An idle connection that the server has closed says nothing of the server.
        const closed = request.reusedSocket && (error as NodeJS.ErrnoException).code === 'ECONNRESET';
        const repeatable = sent.method !== 'POST' && sent.signal === undefined;
        if (closed && attempt === 1 && repeatable && !this.#closed) continue;
        throw new ApolloFailure('away', `${server}: ${reasonOf(error)}`, { cause: error });
      } finally {
        this.#open.delete(request);
      }
    }
  }

  close(): void {
    this.#closed = true;
    for (const request of this.#open) request.destroy(new Error('the component is closed'));
    this.#agent.destroy();
    this.#tlsAgent.destroy();
  }

  #start({ method = 'GET', url, headers = {}, body }: HttpRequest): ClientRequest {
    if (this.#closed) throw new ApolloFailure('away', 'the component is closed');
    const target = new URL(url);
    const length = body === undefined ? {} : { 'Content-Length': String(Buffer.byteLength(body)) };
    const options = { method, headers: { Accept: 'application/json', ...headers, ...length } };
    const request =
      target.protocol === 'https:'
        ? httpsRequest(target, { ...options, agent: this.#tlsAgent })
        : httpRequest(target, { ...options, agent: this.#agent });
    this.#open.add(request);
    request.end(body);
    return request;
  }
}

function exchange(request: ClientRequest, sent: HttpRequest): Promise<HttpAnswer> {
  const { timeoutMs, signal } = sent;
  return new Promise((resolve, reject) => {
    const late = (): void => void request.destroy(new Error(`no whole answer within ${timeoutMs} ms`));
    const timer = setTimeout(late, timeoutMs);
    const abort = (): void => void request.destroy(new Error('it was given up'));
    const end = (): void => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', abort);
    };
    const fail = (error: Error): void => {
      end();
      reject(error);
    };
    if (signal?.aborted) abort();
    signal?.addEventListener('abort', abort);
    request.on('error', fail);
    request.on('response', (response) => {
      read(response, sent.mostBytes).then(
        (text) => {
          end();
          resolve({ status: response.statusCode ?? 0, text });
        },
        (error: Error) => {
          request.destroy();
          fail(error);
        },
      );
    });
  });
}

async function read(response: IncomingMessage, mostBytes: number): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > mostBytes) throw new Error(`its answer has more than ${mostBytes} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks, size).toString();
}
