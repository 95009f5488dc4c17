import { createServer } from 'node:http';
import type { IncomingHttpHeaders, IncomingMessage, Server, ServerResponse } from 'node:http';

import { freePort } from './ports.js';

/** A call that the app got. */
export interface AppRequest {
  path: string;
  headers: IncomingHttpHeaders;
  body: Buffer;
  /** `body` in JSON, as an object. */
  json: Record<string, unknown>;
}

/** What the app answers; a promise holds the answer back. */
export interface AppReply {
  status?: number;
  body?: unknown;
}

/** An HTTP app as Dapr knows them: it says what it subscribes to, and keeps what it is told. */
export class HttpApp {
  readonly calls: AppRequest[] = [];
  /** How often it was asked what it subscribes to. */
  asked = 0;
  /** What it says then; undefined: 404. */
  subscriptions: unknown[] | undefined = [];
  /** What it answers to anything else. */
  answer: (request: AppRequest) => AppReply | Promise<AppReply> = () => ({});
  #server: Server | undefined;

  private constructor(readonly port: number) {}

  /** An app that does not listen yet. */
  static async open(): Promise<HttpApp> {
    return new HttpApp(await freePort());
  }

  async start(): Promise<void> {
    const server = createServer((request, response) => void this.#serve(request, response));
    await new Promise<void>((resolve) => server.listen(this.port, '127.0.0.1', resolve));
    this.#server = server;
  }

  /** Its connections are reset, as if it were killed. */
  async stop(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    if (server === undefined) return;
    const closed = new Promise((resolve) => server.close(resolve));
    server.closeAllConnections();
    await closed;
  }

  /** What it was told at a path, oldest first. */
  told(path: string): AppRequest[] {
    return this.calls.filter((call) => call.path === path);
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const path = request.url ?? '';
    if (request.method === 'GET' && path === '/dapr/subscribe') {
      this.asked++;
      if (this.subscriptions === undefined) response.writeHead(404).end();
      else response.writeHead(200).end(JSON.stringify(this.subscriptions));
      return;
    }
    const body = Buffer.concat(chunks);
    const call: AppRequest = { path, headers: request.headers, body, json: {} };
    try {
      call.json = JSON.parse(body.toString()) as Record<string, unknown>;
    } catch {
      // Not everything is JSON.
    }
    this.calls.push(call);
    const { status = 200, body: answer } = await this.answer(call);
    response.writeHead(status).end(answer === undefined ? undefined : JSON.stringify(answer));
  }
}
