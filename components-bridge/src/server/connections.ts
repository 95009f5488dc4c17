import type { ServerHttp2Session } from 'node:http2';

import type { Logger } from 'pino';

import { reasonOf } from '../primitives/errors.js';

/** How often a connection is asked whether its peer is still there, and how long that may take. */
const PING_EVERY_MS = 60_000;
const PONG_MS = 20_000;

/**
 * The HTTP/2 connections of a server. Each is asked from time to time whether its peer is still there, and ended when
 * nothing comes back: a peer may be gone without a word, and Node neither reads any more nor ends a connection that it
 * has given up because its peer broke HTTP/2's rules (found on Node 20, by sending it such frames).
 */
export class Connections implements Iterable<ServerHttp2Session> {
  /** With the timer of the answer that each owes. */
  readonly #open = new Map<ServerHttp2Session, NodeJS.Timeout | undefined>();
  #pings: NodeJS.Timeout | undefined;

  constructor(
    private readonly log: Logger,
    private readonly everyMs = PING_EVERY_MS,
    private readonly pongMs = PONG_MS,
  ) {}

  /** How many there are. */
  get size(): number {
    return this.#open.size;
  }

  [Symbol.iterator](): Iterator<ServerHttp2Session> {
    return this.#open.keys();
  }

  add(session: ServerHttp2Session): void {
    this.#open.set(session, undefined);
    session.on('close', () => {
      clearTimeout(this.#open.get(session));
      this.#open.delete(session);
    });
    session.on('error', (error) => this.log.debug({ reason: reasonOf(error) }, 'connection lost'));
    this.#pings ??= setInterval(() => this.#ping(), this.everyMs).unref();
  }

  /** Asks no more. */
  stop(): void {
    clearInterval(this.#pings);
  }

  #ping(): void {
    for (const [session, owed] of this.#open) {
      if (owed !== undefined || session.closed || session.destroyed) continue;
      const late = setTimeout(() => session.destroy(), this.pongMs).unref();
      this.#open.set(session, late);
      session.ping(() => {
        clearTimeout(late);
        if (this.#open.has(session)) this.#open.set(session, undefined);
      });
    }
  }
}
