import { createServer as createHttp1 } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { createServer as createHttp2 } from 'node:http2';
import type { Http2Server, ServerHttp2Stream } from 'node:http2';
import type { AddressInfo, Socket } from 'node:net';

import { grpcFrame } from './grpc-raw.js';

/** What an app has seen of a call. */
export interface SeenCall {
  method: string;
  url: string;
  headers: Record<string, string | string[] | undefined>;
  /** Bytes of its body; grows until it has ended. */
  bytes: number;
  body: string;
  trailers: Record<string, string | undefined>;
}

const KEPT = 1024 * 1024;

/** An app that others invoke over HTTP/1.1: it answers as its paths say, and keeps what it has seen. */
export class InvokedApp {
  readonly calls: SeenCall[] = [];
  /** Answers calls under `/wait` that stand open. */
  readonly waiting: ServerResponse[] = [];
  readonly #sockets = new Set<Socket>();

  private constructor(
    readonly server: Server,
    readonly name: string,
  ) {
    server.on('connection', (socket: Socket) => {
      this.#sockets.add(socket);
      socket.on('close', () => this.#sockets.delete(socket));
    });
  }

  static async start(name = 'app', port = 0): Promise<InvokedApp> {
    const server = createHttp1();
    const app = new InvokedApp(server, name);
    server.on('request', (request, response) => app.#serve(request, response));
    await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
    return app;
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  get last(): SeenCall {
    const call = this.calls.at(-1);
    if (call === undefined) throw new Error(`${this.name} was not called`);
    return call;
  }

  /** Goes away as a killed process does: connections are reset. */
  async kill(): Promise<void> {
    for (const socket of this.#sockets) socket.resetAndDestroy();
    await new Promise((resolve) => this.server.close(resolve));
  }

  #serve(request: IncomingMessage, response: ServerResponse): void {
    const call: SeenCall = {
      method: request.method ?? '',
      url: request.url ?? '',
      headers: request.headers,
      bytes: 0,
      body: '',
      trailers: {},
    };
    this.calls.push(call);
    const path = call.url.split('?')[0] ?? '';
    response.on('error', () => undefined);
    if (path === '/echo') {
      response.writeHead(200, { 'content-type': request.headers['content-type'] ?? '', trailer: 'x-sum' });
      request.on('data', (chunk: Buffer) => {
        call.bytes += chunk.length;
        if (!response.write(chunk)) {
          request.pause();
          response.once('drain', () => request.resume());
        }
      });
      request.on('end', () => {
        call.trailers = request.trailers;
        response.addTrailers({ 'x-sum': String(call.bytes) });
        response.end();
      });
      return;
    }
    request.on('data', (chunk: Buffer) => {
      call.bytes += chunk.length;
      if (call.body.length < KEPT) call.body += chunk.toString();
    });
    if (path === '/events') {
      response.writeHead(200, { 'content-type': 'text/event-stream' }).flushHeaders();
      this.waiting.push(response);
      return;
    }
    request.on('end', () => {
      call.trailers = request.trailers;
      if (path === '/wait') this.waiting.push(response);
      else if (path === '/hang-up') request.socket.resetAndDestroy();
      else if (path.startsWith('/unanswered/'))
        // As the callee's Envoy says of its app.
        response.writeHead(500, { 'x-layotto-unanswered': path.slice('/unanswered/'.length) }).end();
      else if (path === '/empty')
        response.writeHead(200, { 'x-app': this.name, 'content-length': '0' }).end();
      else if (path.startsWith('/status/')) {
        const status = Number(path.slice('/status/'.length));
        const body = status === 204 || status === 304 ? undefined : `status ${status}`;
        response.writeHead(status, { 'content-type': 'text/plain', 'x-app': this.name }).end(body);
      } else {
        response.writeHead(200, { 'content-type': 'application/json', 'x-app': this.name });
        response.end(JSON.stringify({ app: this.name, method: call.method, url: call.url, body: call.body }));
      }
    });
  }
}

/** An app that others invoke over gRPC: answers each method as its name says. */
export class InvokedGrpcApp {
  readonly calls: { path: string; headers: Record<string, string | string[] | undefined>; body: Buffer }[] =
    [];
  /** What the next unary calls are answered with; by default what they sent. */
  answer: ((body: Buffer) => Buffer) | undefined;
  /** The status with which unary calls fail, at once or behind a message. */
  failure: { status: number; message: string; atOnce: boolean } | undefined;
  /** Each call ends with its connection. */
  hangsUp = false;

  private constructor(readonly server: Http2Server) {}

  static async start(): Promise<InvokedGrpcApp> {
    const server = createHttp2();
    const app = new InvokedGrpcApp(server);
    server.on('stream', (stream, headers) => app.#serve(stream, headers));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return app;
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  async stop(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.server.close(() => resolve());
    });
  }

  #serve(stream: ServerHttp2Stream, headers: Record<string, string | string[] | undefined>): void {
    const path = String(headers[':path']);
    const call = { path, headers, body: Buffer.alloc(0) };
    this.calls.push(call);
    stream.on('error', () => undefined);
    if (this.hangsUp) return stream.session?.destroy();
    if (path.endsWith('/Never')) return;
    const failure = path.endsWith('/Fail')
      ? { status: 5, message: 'no such thing', atOnce: true }
      : this.failure;
    const status = {
      'grpc-status': String(failure?.status ?? 0),
      ...(failure === undefined ? {} : { 'grpc-message': failure.message }),
    };
    if (failure?.atOnce === true) {
      const head = { ':status': 200, 'content-type': 'application/grpc' };
      stream.respond({ ...head, ...status }, { endStream: true });
      return;
    }
    stream.respond(
      { ':status': 200, 'content-type': 'application/grpc', 'x-head': 'h' },
      { waitForTrailers: true },
    );
    stream.on('wantTrailers', () => stream.sendTrailers({ ...status, 'x-tail': 't' }));
    if (path.endsWith('/Chat')) {
      // A stream: every piece goes back at once.
      stream.pipe(stream);
      return;
    }
    stream.on('data', (chunk: Buffer) => (call.body = Buffer.concat([call.body, chunk])));
    stream.on('end', () => {
      const message = call.body.subarray(5);
      stream.end(grpcFrame(this.answer === undefined ? message : this.answer(message)));
    });
  }
}
