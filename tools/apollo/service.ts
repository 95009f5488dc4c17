import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';

import { Exchange } from './exchange.js';

/**
 * How a service misbehaves: it answers after a while, or never, or as this says instead of as it should.
 *
 * @returns whether the request was dealt with
 */
export type Misbehaviour = (exchange: Exchange) => boolean | Promise<boolean>;

/** One HTTP server of an Apollo. It can be stopped, started again at its old address, and made to misbehave. */
export class Service {
  /** Requests that came, as `GET /path?query`, oldest first; the last thousand. */
  readonly seen: string[] = [];
  /** In place of what it should do; undefined: as it should. */
  misbehave: Misbehaviour | undefined;
  #server: Server | undefined;
  #port: number;
  readonly #sockets = new Set<Socket>();

  constructor(
    private readonly handle: (exchange: Exchange) => void,
    private readonly now: () => Date,
    port = 0,
  ) {
    this.#port = port;
  }

  get running(): boolean {
    return this.#server !== undefined;
  }

  /** Its address, without a slash at the end; the same after a restart. */
  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  /** @throws Error if the port is taken */
  async start(): Promise<void> {
    const server = createServer((request, response) => void this.#answer(request, response));
    server.on('connection', (socket: Socket) => {
      this.#sockets.add(socket);
      socket.on('close', () => this.#sockets.delete(socket));
    });
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(this.#port, '127.0.0.1', resolve);
    });
    this.#port = (server.address() as AddressInfo).port;
    this.#server = server;
  }

  /** Ends it as a kill does: connections are cut. */
  async stop(): Promise<void> {
    const server = this.#server;
    if (server === undefined) return;
    this.#server = undefined;
    const closed = new Promise((resolve) => server.close(resolve));
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const exchange = new Exchange(request, response, this.now);
    response.on('error', () => undefined);
    this.seen.push(`${exchange.method} ${exchange.target}`);
    if (this.seen.length > 1_000) this.seen.shift();
    try {
      if ((await this.misbehave?.(exchange)) === true) return;
      await exchange.read();
    } catch (error) {
      return exchange.badRequest(error instanceof Error ? error.message : String(error));
    }
    this.handle(exchange);
  }
}
