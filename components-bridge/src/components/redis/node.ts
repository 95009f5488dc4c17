import type { Redis, RedisOptions } from 'ioredis';

import { RedisLink } from './link.js';
import type { LinkEvents } from './link.js';
import type { Endpoint, RedisSettings } from './options.js';
import { StrongWrites } from './strong.js';

/**
 * One operation: sends its commands, each on the client that a call of `next` returns, and makes a result of the
 * answers.
 */
export type Command<Result> = (next: () => Redis) => Promise<Result>;

/** One server: a connection for everything, and one for STRONG writes if there are any. */
export class RedisNode {
  readonly #link: RedisLink;
  readonly #strong: StrongWrites;
  readonly #apart: (waitMs: number) => RedisLink;

  /**
   * @param options of its connections
   * @param address what messages call it
   */
  constructor(
    readonly address: string,
    options: RedisOptions,
    { strong, readTimeoutMs }: RedisSettings,
    events: LinkEvents,
  ) {
    this.#link = new RedisLink(options, address, {
      onReady: () => {
        this.#strong.forget();
        events.onReady?.();
      },
      onLost: (reason) => events.onLost?.(reason),
      onInvalid: events.onInvalid,
      ...(events.log === undefined ? {} : { log: events.log }),
    });
    this.#apart = (waitMs) => new RedisLink({ ...options, socketTimeout: readTimeoutMs + waitMs }, address);
    // An answer to WAIT may take its time limit longer.
    const strongOptions = { ...options, socketTimeout: readTimeoutMs + strong.timeoutMs };
    this.#strong = new StrongWrites(
      this.#link,
      (strongEvents) => new RedisLink(strongOptions, address, strongEvents),
      strong,
    );
  }

  /** See RedisLink.connect. */
  connect(): Promise<void> {
    return this.#link.connect();
  }

  get isReady(): boolean {
    return this.#link.isReady;
  }

  /** Why there is no connection, for people. */
  get lostReason(): string {
    return this.#link.lostReason;
  }

  /**
   * @param asking as a cluster's ASK demands
   * @throws RedisUnavailable, or what the server answered
   */
  run<Result>(command: Command<Result>, asking = false): Promise<Result> {
    return perform(this.#link, command, asking);
  }

  /** The same for a read of a key, whose changes are told from then on; see LinkEvents.onInvalid. */
  read<Result>(key: string, command: Command<Result>, asking = false): Promise<Result> {
    return this.#link.read(key, () => perform(this.#link, command, asking));
  }

  /**
   * The same, and waits until replicas have what was written.
   *
   * @param wrote whether a result means that something was written
   * @throws also RedisUnconfirmed
   */
  runStrong<Result>(
    command: Command<Result>,
    wrote: (result: Result) => boolean,
    asking = false,
  ): Promise<Result> {
    return this.#strong.run((link) => perform(link, command, asking), wrote);
  }

  /** See RedisConnection.apart. */
  apart(waitMs: number): RedisLink {
    return this.#apart(waitMs);
  }

  /** See RedisConnection.remote. */
  get remote(): string | undefined {
    return this.#link.remote;
  }

  /** Asks for a sign of life. @throws RedisUnavailable, or what the server answered */
  async ping(): Promise<void> {
    await this.run((next) => next().ping());
  }

  /** Connects anew where the server is not the one at this address. */
  moveTo(address: Endpoint): void {
    this.#link.moveTo(address);
    this.#strong.moveTo(address);
  }

  close(): void {
    this.#link.close();
    this.#strong.close();
  }

  /** Closes once what was sent is answered. */
  retire(): void {
    this.#link.retire();
    this.#strong.retire();
  }
}

async function perform<Result>(link: RedisLink, command: Command<Result>, asking: boolean): Promise<Result> {
  try {
    return await command(asking ? link.nextAsking : link.next);
  } catch (error) {
    throw link.failure(error);
  }
}
