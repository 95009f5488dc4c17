import { createServer } from 'node:http';
import type { IncomingHttpHeaders, IncomingMessage, Server, ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { ServerOptions } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';

/** A request as it came. */
export interface SeenRequest {
  method: string;
  url: string;
  headers: IncomingHttpHeaders;
  body: string;
}

/** An HTTP server that keeps what is put, and does what paths say. */
export class TestHttpServer {
  /** Requests, oldest first. */
  readonly seen: SeenRequest[] = [];
  /** Connections there ever were. */
  connections = 0;
  readonly #kept = new Map<string, Buffer>();
  readonly #sockets = new Set<Socket>();

  private constructor(private readonly server: Server) {
    server.on('request', (request: IncomingMessage, response: ServerResponse) => {
      void this.#answer(request, response);
    });
    server.on('connection', (socket: Socket) => {
      this.connections++;
      this.#sockets.add(socket);
      socket.on('close', () => this.#sockets.delete(socket));
    });
  }

  /** @param tls certificate and key: then it speaks TLS */
  static async start(tls?: ServerOptions): Promise<TestHttpServer> {
    const server = new TestHttpServer(tls === undefined ? createServer() : createTlsServer(tls));
    await new Promise<void>((resolve) => server.server.listen(0, '127.0.0.1', resolve));
    return server;
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** Closes every connection, without a word. */
  dropConnections(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  async stop(): Promise<void> {
    this.dropConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
    const body = Buffer.concat(chunks);
    const { method = '', url = '', headers } = request;
    this.seen.push({ method, url, headers, body: body.toString() });
    const { pathname } = new URL(url, 'http://server');
    const [, kind, name] = /^\/(?:api\/)?(\w+)(?:\/(.*))?$/.exec(pathname) ?? [];
    if (kind === 'never') return;
    if (kind === 'slowly') {
      response.write('the beginning');
      return;
    }
    if (kind === 'status') {
      response.writeHead(Number(name), { 'x-why': 'because' }).end('as you wished');
      return;
    }
    if (method === 'PUT' || method === 'POST' || method === 'PATCH') this.#kept.set(name ?? '', body);
    const kept = this.#kept.get(name ?? '');
    response.statusCode = kept === undefined ? 404 : 200;
    response.setHeader('Set-Cookie', ['a=1', 'b=2']);
    response.setHeader('x-served-by', 'test');
    response.end(method === 'PUT' ? 'kept' : (kept ?? 'nothing there'));
  }
}
