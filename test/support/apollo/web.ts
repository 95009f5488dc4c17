import { createServer, STATUS_CODES } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

import { timestamp } from './model.js';

const JSON_TYPE = 'application/json;charset=UTF-8';
export const TEXT_TYPE = 'text/plain;charset=UTF-8';

/** Longest body that is read, in bytes. */
const LONGEST_BODY = 4 * 1024 * 1024;

/** One request to a service of Apollo, and how it is answered. */
export class Exchange {
  /** Without what stands after the question mark, as sent. */
  readonly path: string;
  readonly query: URLSearchParams;

  constructor(
    readonly request: IncomingMessage,
    readonly response: ServerResponse,
    /** Of a JSON or form body. */
    readonly body: Readonly<Record<string, unknown>>,
  ) {
    const url = new URL(request.url ?? '/', 'http://apollo');
    this.path = url.pathname;
    this.query = url.searchParams;
  }

  /** A text of the body; undefined if there is none. */
  text(name: string): string | undefined {
    const value = this.body[name];
    return typeof value === 'string' ? value : undefined;
  }

  send(status: number, body?: unknown, type = JSON_TYPE): void {
    const headers: Record<string, string> = {
      'cache-control': 'no-cache, no-store, max-age=0, must-revalidate',
      pragma: 'no-cache',
      expires: '0',
    };
    if (body !== undefined) headers['content-type'] = type;
    this.response.writeHead(status, headers);
    this.response.end(typeof body === 'string' || body === undefined ? body : JSON.stringify(body));
  }

  /** An error as the framework under Apollo says it. */
  refuse(status: number): void {
    const error = STATUS_CODES[status];
    this.send(status, { timestamp: timestamp(), status, error, path: this.path });
  }

  /** An error as Apollo itself says it. */
  object(status: number, exception: string, message: string): void {
    const name = `com.ctrip.framework.apollo.common.exception.${exception}`;
    this.send(status, { exception: name, message, status, timestamp: timestamp() });
  }
}

/** A route: method, pattern of the decoded path, and what to do with what its groups caught. */
export type Route = [method: string, path: RegExp, handle: (exchange: Exchange, ...parts: string[]) => void];

/** One of Apollo's services, on a port of 127.0.0.1. */
export class Service {
  readonly #server: Server;

  constructor(private readonly routes: readonly Route[]) {
    this.#server = createServer((request, response) => {
      this.#serve(request, response).catch((error: unknown) => {
        response.writeHead(500).end(String(error));
      });
    });
  }

  listen(port: number): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(port, '127.0.0.1', resolve);
    });
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  close(): Promise<void> {
    return new Promise((resolve) => {
      this.#server.close(() => resolve());
      this.#server.closeAllConnections();
    });
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await bodyOf(request);
    const exchange = new Exchange(request, response, body ?? {});
    if (body === undefined) return exchange.refuse(400);
    for (const [method, pattern, handle] of this.routes) {
      if (method !== request.method) continue;
      const match = pattern.exec(exchange.path);
      if (match !== null) return handle(exchange, ...match.slice(1).map(decodeURIComponent));
    }
    exchange.refuse(404);
  }
}

/** Undefined if it cannot be read. */
async function bodyOf(request: IncomingMessage): Promise<Record<string, unknown> | undefined> {
  let text = '';
  request.setEncoding('utf8');
  for await (const chunk of request) {
    text += String(chunk);
    if (text.length > LONGEST_BODY) return undefined;
  }
  if (text === '') return {};
  if (!/json/.test(request.headers['content-type'] ?? ''))
    return Object.fromEntries(new URLSearchParams(text));
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}
