/** Requests as Apollo's services read them, and answers with the headers and error bodies that they have. */
import { STATUS_CODES } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';

import { timeText } from './database.js';

const MOST_BODY_BYTES = 8 * 1024 * 1024;
const JSON_TYPE = 'application/json;charset=UTF-8';
const TEXT_TYPE = 'text/plain;charset=UTF-8';

const UNCACHED = {
  'cache-control': 'no-cache, no-store, max-age=0, must-revalidate',
  pragma: 'no-cache',
  expires: '0',
};

/** One request and its answer. */
export class Exchange {
  readonly method: string;
  readonly url: URL;
  /** The parts of the path, decoded. */
  readonly path: readonly string[];
  /** What was sent: JSON, or the fields of a form. */
  body: Record<string, unknown> = {};

  constructor(
    readonly request: IncomingMessage,
    readonly response: ServerResponse,
    private readonly now: () => Date,
  ) {
    this.method = request.method ?? 'GET';
    this.url = new URL(request.url ?? '/', 'http://apollo');
    this.path = this.url.pathname.split('/').slice(1).map(decoded);
  }

  get query(): URLSearchParams {
    return this.url.searchParams;
  }

  /** Path and query as they were sent: what signatures are made of. */
  get target(): string {
    return this.request.url ?? '/';
  }

  /** The parts that the stars of a pattern such as `apps/*` stand for; undefined if it does not fit. */
  match(method: string, pattern: string): string[] | undefined {
    const parts = pattern.split('/');
    if (this.method !== method || parts.length !== this.path.length) return undefined;
    const found: string[] = [];
    for (const [index, part] of parts.entries()) {
      const given = this.path[index] ?? '';
      if (part === '*' && given !== '') found.push(given);
      else if (part !== given) return undefined;
    }
    return found;
  }

  /** A field of the body as text; empty if it is not there. */
  text(name: string): string {
    const value = this.body[name];
    return typeof value === 'string' || typeof value === 'number' ? String(value) : '';
  }

  /** Reads the body. */
  async read(): Promise<void> {
    const chunks: Buffer[] = [];
    let size = 0;
    for await (const chunk of this.request as AsyncIterable<Buffer>) {
      size += chunk.length;
      if (size > MOST_BODY_BYTES) throw new Error(`a body of more than ${MOST_BODY_BYTES} bytes`);
      chunks.push(chunk);
    }
    const raw = Buffer.concat(chunks).toString();
    if (raw === '') return;
    const isJson = this.request.headers['content-type']?.includes('json') ?? false;
    this.body = isJson
      ? (JSON.parse(raw) as Record<string, unknown>)
      : Object.fromEntries(new URLSearchParams(raw));
  }

  json(value: unknown): void {
    this.#send(200, JSON.stringify(value), JSON_TYPE);
  }

  plainText(text: string, isJson = false): void {
    this.#send(200, text, isJson ? JSON_TYPE : TEXT_TYPE);
  }

  /** 200 without a body. */
  done(): void {
    this.#send(200, '');
  }

  /** The client has it already. @param headers whether those against caching are sent; Apollo does not always */
  notModified(headers: boolean): void {
    this.response.writeHead(304, headers ? UNCACHED : {}).end();
  }

  /** An error of the server that carries Apollo: the status and nothing more. */
  refuse(status: number): void {
    const error = STATUS_CODES[status];
    const body = { timestamp: timeText(this.now()), status, error, path: this.url.pathname };
    this.#send(status, JSON.stringify(body), JSON_TYPE);
  }

  /** An error of Apollo itself, which says why. */
  explain(status: number, kind: string, message: string): void {
    const exception = `com.ctrip.framework.apollo.common.exception.${kind}`;
    const body = { exception, message, status, timestamp: this.now().toISOString().replace('Z', '') };
    this.#send(status, JSON.stringify(body), JSON_TYPE);
  }

  badRequest(message: string): void {
    this.explain(400, 'BadRequestException', message);
  }

  #send(status: number, body: string, type?: string): void {
    if (this.response.headersSent || this.response.destroyed) return;
    const length = { 'content-length': String(Buffer.byteLength(body)) };
    this.response.writeHead(status, { ...UNCACHED, ...length, ...(type ? { 'content-type': type } : {}) });
    this.response.end(body);
  }
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}
