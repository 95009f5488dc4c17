import { Agent, request as httpRequest, validateHeaderName, validateHeaderValue } from 'node:http';
import type { ClientRequest, IncomingMessage, RequestOptions } from 'node:http';
import { Agent as TlsAgent, request as httpsRequest } from 'node:https';
import { connect } from 'node:net';
import { urlToHttpOptions } from 'node:url';

import { BindingError } from '../../primitives/binding/binding.js';
import type { Invocation, InvocationResult, OutputBinding } from '../../primitives/binding/binding.js';
import type { BackendPlace, ComponentContext } from '../../primitives/component.js';
import { reasonOf } from '../../primitives/errors.js';
import { pemOf } from '../pem.js';
import { metadataSchema } from './metadata.js';
import type { HttpBindingMetadata } from './metadata.js';

/** Connections at once; more calls than this wait for one. */
const MOST_CONNECTIONS = 256;
/** How long a connection may take when it is looked whether somebody listens, and how often that is looked. */
const CONNECT_MS = 1_500;
const LOOK_EVERY_MS = 5_000;
/** How long a connection that nobody uses stays open. */
const IDLE_MS = 30_000;

const JSON_TYPE = 'application/json; charset=utf-8';

/** Operations whose data is sent. */
const WITH_BODY: ReadonlySet<string> = new Set(['POST', 'PUT', 'PATCH']);
/** Methods that may be sent once more on a new connection if an idle one turns out to be closed. */
const REPEATABLE: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PUT', 'DELETE']);

/** Headers that say where a message ends or belong to the connection: a caller must not set them. */
const NOT_CALLERS: ReadonlySet<string> = new Set([
  'connection',
  'content-length',
  'expect',
  'host',
  'keep-alive',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

/** @throws Error if a certificate cannot be read */
export async function open(context: Pick<ComponentContext, 'metadata'>): Promise<HttpBinding> {
  const metadata = metadataSchema.parse(context.metadata);
  const [ca, cert, key] = await Promise.all(
    (['MTLSRootCA', 'MTLSClientCert', 'MTLSClientKey'] as const).map((name) => pemOf(name, metadata[name])),
  );
  const tls = {
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
  };
  return new HttpBinding(metadata, tls);
}

/** Sends each invocation as a request to an HTTP server. */
export class HttpBinding implements OutputBinding {
  readonly operations = ['create', 'get', 'head', 'post', 'put', 'patch', 'delete', 'options', 'trace'];
  readonly place: BackendPlace;
  readonly probePauseMs = LOOK_EVERY_MS;
  readonly #agent: Agent;
  /** Where paths are added, without a slash at its end. */
  readonly #base: string;
  readonly #open = new Set<ClientRequest>();

  constructor(
    private readonly metadata: HttpBindingMetadata,
    tls: { ca?: string; cert?: string; key?: string },
  ) {
    const { url } = metadata;
    const secure = url.protocol === 'https:';
    const options = { keepAlive: true, maxSockets: MOST_CONNECTIONS, timeout: IDLE_MS };
    this.#agent = secure ? new TlsAgent({ ...options, ...tls }) : new Agent(options);
    this.#base = url.href.replace(/\/+$/, '');
    this.place = { system: 'http', address: url.hostname, port: Number(url.port) || (secure ? 443 : 80) };
  }

  async invoke(invocation: Invocation): Promise<InvocationResult> {
    const { operation, metadata } = invocation;
    const method = operation === 'create' ? 'POST' : operation.toUpperCase();
    const options = {
      ...urlToHttpOptions(this.#target(metadata.get('path') ?? '')),
      agent: this.#agent,
      method,
      headers: this.#headers(method, invocation),
    };
    const body = WITH_BODY.has(method) ? invocation.data : undefined;
    const answer = await this.#send(options, body, invocation);
    if (this.#failsUnless2xx(metadata) && (answer.status < 200 || answer.status > 299))
      throw new BindingError('failed', `received status code ${answer.status}`);
    return answer.result;
  }

  /** Whether somebody listens there. No request is made: what one does is for callers to know. */
  probe(): Promise<void> {
    const { address = '', port = 0 } = this.place;
    const at = address.replace(/^\[|\]$/g, '');
    return new Promise((resolve, reject) => {
      const socket = connect({ host: at, port, timeout: CONNECT_MS });
      const end = (failure: string | undefined): void => {
        socket.destroy();
        if (failure === undefined) resolve();
        else reject(new Error(`${address}:${port}: ${failure}`));
      };
      socket.once('connect', () => end(undefined));
      socket.once('timeout', () => end('nobody answers'));
      socket.once('error', (error) => end(reasonOf(error)));
    });
  }

  async close(): Promise<void> {
    for (const request of this.#open) request.destroy(new Error('the binding is closed'));
    this.#agent.destroy();
  }

  /** @throws BindingError if the path leads out of the configured address */
  #target(path: string): URL {
    if (path === '') return this.metadata.url;
    const address = `${this.#base}/${path.replace(/^\/+/, '')}`;
    const url = URL.canParse(address) ? new URL(address) : undefined;
    const base = new URL(this.#base);
    const root = base.pathname.replace(/\/*$/, '/');
    if (url?.origin !== base.origin || !`${url.pathname}/`.startsWith(root))
      throw new BindingError('failed', `invalid path: ${path}`);
    return url;
  }

  /** @throws BindingError if the caller asks for a header that cannot be sent */
  #headers(method: string, { metadata, data, traceparent }: Invocation): Record<string, string> {
    const { securityToken, securityTokenHeader } = this.metadata;
    const headers = new Map<string, [string, string]>();
    const set = (name: string, value: string): void => void headers.set(name.toLowerCase(), [name, value]);
    set('Accept', JSON_TYPE);
    if (WITH_BODY.has(method)) set('Content-Type', JSON_TYPE);
    if (securityToken && securityTokenHeader) set(securityTokenHeader, securityToken);
    for (const [name, value] of metadata) {
      if (!/^[A-Z]/.test(name) || NOT_CALLERS.has(name.toLowerCase())) continue;
      try {
        validateHeaderName(name);
        validateHeaderValue(name, value);
      } catch (error) {
        throw new BindingError('failed', `metadata ${JSON.stringify(name)}: ${reasonOf(error)}`);
      }
      set(name, value);
    }
    if (traceparent !== '') set('traceparent', traceparent);
    if (WITH_BODY.has(method)) set('Content-Length', String(data.length));
    return Object.fromEntries(headers.values());
  }

  #failsUnless2xx(metadata: ReadonlyMap<string, string>): boolean {
    const asked = metadata.get('errorIfNot2XX') ?? '';
    if (asked !== '') return /^(1|t|true|y|yes|on)$/i.test(asked);
    return this.metadata.errorIfNot2XX ?? true;
  }

  async #send(
    options: RequestOptions,
    body: Uint8Array | undefined,
    invocation: Invocation,
  ): Promise<Answer> {
    const exchange = new Exchange(invocation, this.metadata);
    for (let attempt = 1; ; attempt++) {
      const secure = this.metadata.url.protocol === 'https:';
      const request = (secure ? httpsRequest : httpRequest)(options);
      this.#open.add(request);
      try {
        return await exchange.perform(request, body);
      } catch (error) {
        if (error instanceof BindingError) throw error;
        const closed = request.reusedSocket && (error as NodeJS.ErrnoException).code === 'ECONNRESET';
        if (closed && attempt === 1 && REPEATABLE.has(options.method ?? '')) continue;
        throw new BindingError('failed', reasonOf(error));
      } finally {
        this.#open.delete(request);
      }
    }
  }
}

interface Answer {
  status: number;
  result: InvocationResult;
}

/** A request and its answer, bounded in time and length. */
class Exchange {
  readonly #limitBytes: number;
  readonly #deadline: number;
  readonly #late: BindingError;

  constructor(
    { deadline, maxBytes }: Invocation,
    { responseTimeout, maxResponseBodySize }: HttpBindingMetadata,
  ) {
    this.#limitBytes = Math.min(maxBytes, maxResponseBodySize || Infinity);
    const ownDeadline = responseTimeout ? performance.now() + responseTimeout : Infinity;
    this.#deadline = Math.min(deadline, ownDeadline);
    this.#late =
      ownDeadline < deadline
        ? new BindingError('failed', `no answer within ${responseTimeout ?? 0} ms (responseTimeout)`)
        : new BindingError('deadline', 'the deadline passed before the answer came');
  }

  perform(request: ClientRequest, body: Uint8Array | undefined): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const timer =
        this.#deadline === Infinity
          ? undefined
          : setTimeout(() => request.destroy(this.#late), Math.max(0, this.#deadline - performance.now()));
      const fail = (error: Error): void => {
        clearTimeout(timer);
        reject(error);
      };
      request.on('error', fail);
      request.on('response', (response) => {
        this.#read(response).then(
          (data) => {
            clearTimeout(timer);
            resolve(answerOf(response, data));
          },
          (error: Error) => {
            request.destroy();
            fail(error);
          },
        );
      });
      request.end(body);
    });
  }

  async #read(response: IncomingMessage): Promise<Uint8Array> {
    const chunks: Buffer[] = [];
    let size = 0;
    for await (const chunk of response as AsyncIterable<Buffer>) {
      size += chunk.length;
      if (size > this.#limitBytes) {
        const message = `the answer is longer than ${this.#limitBytes} bytes (limits.message or maxResponseBodySize)`;
        throw new BindingError('too-large', message);
      }
      chunks.push(chunk);
    }
    return Buffer.concat(chunks, size);
  }
}

/** Status and headers become metadata, the headers in Go's spelling, as Dapr's and Layotto's callers expect. */
function answerOf(
  { statusCode = 0, statusMessage = '', rawHeaders }: IncomingMessage,
  data: Uint8Array,
): Answer {
  const headers = new Map<string, string>();
  for (let index = 0; index + 1 < rawHeaders.length; index += 2) {
    const name = (rawHeaders[index] ?? '').toLowerCase().replace(/(^|-)[a-z]/g, (part) => part.toUpperCase());
    const value = rawHeaders[index + 1] ?? '';
    const before = headers.get(name);
    headers.set(name, before === undefined ? value : `${before}, ${value}`);
  }
  const metadata = {
    ...Object.fromEntries(headers),
    statusCode: String(statusCode),
    status: `${statusCode} ${statusMessage}`.trimEnd(),
  };
  return { status: statusCode, result: { data, metadata } };
}
