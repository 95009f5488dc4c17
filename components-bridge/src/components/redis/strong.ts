import { reasonOf } from '../../primitives/errors.js';
import { RedisUnavailable, RedisUnconfirmed } from './failure.js';
import type { LinkEvents, RedisLink } from './link.js';
import type { Endpoint, StrongSettings } from './options.js';

/** How long what is known of a server's replicas counts. */
const FRESH_MS = 1_000;
/** Longest WAIT. */
const LONGEST_WAIT_MS = 250;

/** What one connection's server says of its replicas. */
class Replicas {
  #count = 0;
  #answeredAt = -Infinity;
  #asking: Promise<number> | undefined;

  constructor(private readonly link: RedisLink) {}

  /** How many were connected when last asked; 0 if never. */
  get count(): number {
    return this.#count;
  }

  get isFresh(): boolean {
    return performance.now() - this.#answeredAt < FRESH_MS;
  }

  /** Asks the server, unless it is being asked. */
  ask(): Promise<number> {
    this.#asking ??= this.#ask().finally(() => (this.#asking = undefined));
    return this.#asking;
  }

  /** Another server may be there now. */
  forget(): void {
    this.#count = 0;
    this.#answeredAt = -Infinity;
  }

  async #ask(): Promise<number> {
    const info = await this.link.client.info('replication');
    // One that is still being filled confirms nothing, and may take long.
    this.#count = info.match(/^slave\d+:.*\bstate=online\b/gm)?.length ?? 0;
    this.#answeredAt = performance.now();
    return this.#count;
  }
}

interface Job {
  perform(): Promise<unknown>;
  /** Whether a result means that something was written. */
  wrote(result: unknown): boolean;
  resolve(result: unknown): void;
  reject(error: unknown): void;
}

/**
 * Writes on one connection, each followed by WAIT. A connection is deaf while it waits, so writes that come meanwhile
 * are held back, and then go together under one WAIT: no call takes longer than two time limits.
 */
class Confirmed {
  readonly replicas: Replicas;
  #jobs: Job[] = [];
  #busy = false;

  constructor(
    readonly link: RedisLink,
    private readonly settings: StrongSettings,
  ) {
    this.replicas = new Replicas(link);
  }

  /** @throws what `command` throws; RedisUnconfirmed */
  run<Result>(command: () => Promise<Result>, wrote: (result: Result) => boolean): Promise<Result> {
    return new Promise<Result>((resolve, reject) => {
      this.#jobs.push({ perform: command, wrote, resolve, reject });
      if (this.#busy) return;
      this.#busy = true;
      // Others that come while the event loop handles what came in go along.
      setImmediate(() => void this.#drain());
    });
  }

  async #drain(): Promise<void> {
    while (this.#jobs.length > 0) {
      const jobs = this.#jobs;
      this.#jobs = [];
      const outcomes = await Promise.allSettled(jobs.map((job) => job.perform()));
      const written = outcomes.map((outcome, index) => {
        return outcome.status === 'fulfilled' && (jobs[index] as Job).wrote(outcome.value);
      });
      const unconfirmed = written.includes(true) ? await this.#confirm() : undefined;
      outcomes.forEach((outcome, index) => {
        const job = jobs[index] as Job;
        if (outcome.status === 'rejected') job.reject(outcome.reason);
        else if (written[index] === true && unconfirmed !== undefined) job.reject(unconfirmed);
        else job.resolve(outcome.value);
      });
    }
    this.#busy = false;
  }

  /** Waits until enough replicas have all that was written on this connection. Returns why not, if not. */
  async #confirm(): Promise<RedisUnconfirmed | undefined> {
    const { replicas: fixed, timeoutMs } = this.settings;
    const end = performance.now() + timeoutMs;
    let confirmed = 0;
    try {
      for (let first = true; ; first = false) {
        const known = first && this.replicas.isFresh;
        const wanted = fixed ?? (known ? this.replicas.count : await this.replicas.ask());
        if (confirmed >= wanted) return undefined;
        const left = end - performance.now();
        if (left <= 0) {
          return this.#unconfirmed(`${confirmed} of ${wanted} replicas confirmed it within ${timeoutMs} ms`);
        }
        // In parts, because one that leaves meanwhile is not asked of.
        confirmed = await this.link.client.wait(wanted, Math.ceil(Math.min(left, LONGEST_WAIT_MS)));
        if (confirmed >= wanted) return undefined;
      }
    } catch (error) {
      return this.#unconfirmed(`no replica confirmed it: ${reasonOf(this.link.failure(error))}`);
    }
  }

  #unconfirmed(why: string): RedisUnconfirmed {
    return new RedisUnconfirmed(`${this.link.address}: the write was done on the primary, but ${why}`);
  }
}

/**
 * STRONG writes to one server: confirmed by its replicas, on a connection of their own, so that nothing else is
 * behind a WAIT. To a server without replicas they are plain writes on the connection that is there.
 */
export class StrongWrites {
  readonly #main: Confirmed;
  #own: Promise<Confirmed> | undefined;
  #closed = false;

  /**
   * @param main the connection for everything else
   * @param another makes the connection for these
   */
  constructor(
    main: RedisLink,
    private readonly another: (events: LinkEvents) => RedisLink,
    private readonly settings: StrongSettings,
  ) {
    this.#main = new Confirmed(main, settings);
  }

  /**
   * @param wrote whether a result means that something was written; else nothing is waited for
   * @throws what the command throws; RedisUnavailable; RedisUnconfirmed
   */
  async run<Result>(
    command: (link: RedisLink) => Promise<Result>,
    wrote: (result: Result) => boolean,
  ): Promise<Result> {
    const { link, replicas } = this.#main;
    if (this.settings.replicas === 0) return command(link);
    if (this.settings.replicas === undefined) {
      if (replicas.count === 0) return replicas.isFresh ? command(link) : this.#find(command, wrote);
      if (!replicas.isFresh) replicas.ask().catch(() => undefined);
    }
    const own = await this.#connect();
    return own.run(() => command(own.link), wrote);
  }

  /** The server is another one, or the same one anew. */
  forget(): void {
    this.#main.replicas.forget();
  }

  moveTo(address: Endpoint): void {
    this.#each((link) => link.moveTo(address));
  }

  close(): void {
    this.#closed = true;
    this.#each((link) => link.close());
  }

  retire(): void {
    this.#closed = true;
    this.#each((link) => link.retire());
  }

  /**
   * A write to a server that had no replicas when last asked. The question goes along with it, so that it costs no
   * time; only if there are replicas now, this one write waits on the connection of all.
   */
  async #find<Result>(
    command: (link: RedisLink) => Promise<Result>,
    wrote: (result: Result) => boolean,
  ): Promise<Result> {
    const { link, replicas } = this.#main;
    const asked = replicas.ask();
    asked.catch(() => undefined);
    const result = await command(link);
    if (!wrote(result)) return result;
    const count = await asked.catch((error: unknown) => {
      throw new RedisUnconfirmed(
        `${link.address}: the write was done, but which replicas there are is not known: ` +
          `${reasonOf(link.failure(error))}; allow INFO, or set strongReplicas`,
      );
    });
    return count === 0 ? result : this.#main.run(() => Promise.resolve(result), wrote);
  }

  async #connect(): Promise<Confirmed> {
    this.#own ??= this.#open();
    return this.#own;
  }

  async #open(): Promise<Confirmed> {
    const link = this.another({ onReady: () => confirmed.replicas.forget() });
    const confirmed = new Confirmed(link, this.settings);
    try {
      await link.connect();
    } catch (error) {
      link.close();
      this.#own = undefined;
      throw error;
    }
    if (this.#closed) {
      link.close();
      throw new RedisUnavailable(`${link.address}: the connection was closed`);
    }
    return confirmed;
  }

  #each(perform: (link: RedisLink) => void): void {
    void this.#own?.then(
      ({ link }) => perform(link),
      () => undefined,
    );
  }
}
