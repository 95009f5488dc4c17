/** What one app may use of a bridge that it shares with others. Each counts for all its filters together. */
export interface ShareLimits {
  /** Operations at work or waiting for their turn. */
  operations: number;
  /**
   * Bytes of requests at work and of answers that were not taken; messages that have come in part count too, and are
   * bounded by the same number on their own.
   */
  bytes: number;
  /** Session streams that are open; as many connections, and some more, may be. */
  sessions: number;
}

/** Why an app was refused something: a few fixed words, which become a label. */
export type ShareRefusal = 'identity' | 'operations' | 'bytes' | 'sessions' | 'streams';

/** How many operations of an app may begin in one turn of the event loop. */
const PER_TURN = 32;

/**
 * The apps of one process take turns: in each turn of the event loop every app may begin a few operations, and what
 * is beyond that waits for the next turn, so that an app with many calls is late by its own calls, and others by a few.
 */
export class Turns {
  readonly #used = new Set<AppShare>();

  /** The app has used some of its turn, and gets a new one with the next. */
  used(share: AppShare): void {
    this.#used.add(share);
    if (this.#used.size > 1) return;
    setImmediate(() => {
      const shares = [...this.#used];
      this.#used.clear();
      for (const each of shares) each.nextTurn();
    });
  }
}

/** A server that serves an app's filters. */
export interface AppServer {
  /** Bytes of messages that have come in part, and of answers that were not taken. */
  readonly bytesInHand: number;
  /** The app has used up its turn (true), or has a new one. */
  hold(held: boolean): void;
}

/** One app's part of a bridge that serves several: who it is, how much it may use, and when it is its turn. */
export class AppShare {
  readonly #refusals = new Map<ShareRefusal, number>();
  readonly #waiting: (() => void)[] = [];
  readonly #servers = new Set<AppServer>();
  #left = PER_TURN;
  #operations = 0;
  #requestBytes = 0;

  /** @param appId the app that the socket belongs to */
  constructor(
    readonly appId: string,
    readonly limits: ShareLimits,
    private readonly turns: Turns,
  ) {}

  /** How often it was refused something, by reason. */
  get refusals(): ReadonlyMap<ShareRefusal, number> {
    return this.#refusals;
  }

  /** Whether the app has used up its turn. */
  get exhausted(): boolean {
    return this.#left === 0;
  }

  refused(reason: ShareRefusal): void {
    this.#refusals.set(reason, (this.#refusals.get(reason) ?? 0) + 1);
  }

  /** Operations that have begun or wait to, also those of filters that have gone since. */
  get operations(): number {
    return this.#operations;
  }

  /** Everything that counts against `limits.bytes`. */
  get bytes(): number {
    let sum = this.#requestBytes;
    for (const { bytesInHand } of this.#servers) sum += bytesInHand;
    return sum;
  }

  /** Adds a server; there are two while one takes the other's place. @returns takes it away */
  join(server: AppServer): () => void {
    this.#servers.add(server);
    return () => this.#servers.delete(server);
  }

  /**
   * Why the app may not have one more operation; undefined if it may.
   *
   * @param length bytes of its request
   */
  refusal(length: number): string | undefined {
    const { operations, bytes } = this;
    const reason = operations >= this.limits.operations ? 'operations' : 'bytes';
    if (reason === 'bytes' && bytes + length <= Math.max(this.limits.bytes, length)) return undefined;
    this.refused(reason);
    return `too busy: the app ${this.appId} has ${operations} operations and ${bytes} bytes in hand on this node`;
  }

  /** An operation is taken on. @param length bytes of its request */
  take(length: number): void {
    this.#operations++;
    this.#requestBytes += length;
  }

  /** It is over. */
  release(length: number): void {
    this.#operations--;
    this.#requestBytes -= length;
  }

  /** Begins an operation: at once, or when it is the app's turn again. */
  begin(operation: () => void): void {
    if (this.#left === 0) {
      this.#waiting.push(operation);
      return;
    }
    this.#use(operation);
    if (this.#left === 0) this.#tell(true);
  }

  /** A new turn: what waits begins first. */
  nextTurn(): void {
    const was = this.exhausted;
    this.#left = PER_TURN;
    for (const operation of this.#waiting.splice(0, PER_TURN)) this.#use(operation);
    if (was !== this.exhausted) this.#tell(this.exhausted);
  }

  #use(operation: () => void): void {
    this.#left--;
    this.turns.used(this);
    operation();
  }

  #tell(exhausted: boolean): void {
    for (const server of this.#servers) server.hold(exhausted);
  }
}
