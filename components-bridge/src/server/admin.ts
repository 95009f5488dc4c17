import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Logger } from 'pino';

import type { ListenAddress } from '../config/types.js';
import { reasonOf } from '../primitives/errors.js';
import { listenOnSocket } from './socket.js';
import type { OwnSocket, SocketAccess } from './socket.js';

/** How long until the socket is tried again that another bridge, which is about to end, still has. */
const AGAIN_MS = 1_000;

/** A scraper and a few people; nobody else has business here. */
const CONNECTIONS = 64;

export interface AdminPage {
  contentType: string;
  body: string;
  /** 200 by default. */
  status?: number;
}

export interface AdminOptions extends SocketAccess {
  /** A Unix socket, or an address for those that cannot reach one, such as a kubelet. */
  at: { socketPath: string } | ListenAddress;
  /** What is served, by path; made anew for each request. */
  pages: ReadonlyMap<string, () => AdminPage>;
  log: Logger;
}

/** Pages for whoever watches the bridge, over HTTP. Calls do not depend on it. */
export class AdminServer {
  readonly #server: Server;
  #again: NodeJS.Timeout | undefined;
  #socket: OwnSocket | undefined;
  #closed = false;
  #said = '';

  constructor(private readonly options: AdminOptions) {
    this.#server = createServer({ requestTimeout: 10_000 }, (request, response) =>
      this.#answer(request, response),
    );
    this.#server.maxConnections = CONNECTIONS;
  }

  /**
   * Begins to serve, or goes on trying to: that the socket cannot be had is logged, and nothing more.
   *
   * @param replace take the place of a bridge that serves there
   */
  async start(replace = false): Promise<void> {
    const { at, gid, log } = this.options;
    try {
      if ('socketPath' in at)
        this.#socket = await listenOnSocket(this.#server, at.socketPath, { gid, replace });
      else await this.#listen(at);
      // It closed in the meantime.
      if (this.#closed) await this.#end();
    } catch (error) {
      const reason = reasonOf(error);
      if (reason !== this.#said) log.warn({ ...at, reason }, 'metrics and health are not served yet');
      this.#said = reason;
      if (!this.#closed) this.#again = setTimeout(() => void this.start(replace), AGAIN_MS);
    }
  }

  /** Ends at once, requests in hand too. */
  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#again);
    if (this.#server.listening) await this.#end();
  }

  async #end(): Promise<void> {
    this.#socket?.remove();
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#server.closeAllConnections();
    await closed;
  }

  async #listen({ host, port }: ListenAddress): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(port, host, () => {
        this.#server.off('error', reject);
        resolve();
      });
    });
  }

  #answer({ method, url = '' }: IncomingMessage, response: ServerResponse): void {
    const page = this.options.pages.get(url.replace(/\?.*$/s, ''));
    if (page === undefined) {
      const known = [...this.options.pages.keys()].join(', ');
      end(response, 404, { contentType: 'text/plain', body: `there is ${known}\n` });
    } else if (method !== 'GET' && method !== 'HEAD') {
      response.setHeader('allow', 'GET');
      end(response, 405, { contentType: 'text/plain', body: 'only GET is served\n' });
    } else {
      const made = page();
      end(response, made.status ?? 200, made);
    }
  }
}

/** Answers probes. */
export function okPage(): AdminPage {
  return { contentType: 'text/plain', body: 'ok\n' };
}

function end(response: ServerResponse, status: number, { contentType, body }: AdminPage): void {
  response.writeHead(status, { 'content-type': contentType, 'content-length': Buffer.byteLength(body) });
  response.end(body);
}
