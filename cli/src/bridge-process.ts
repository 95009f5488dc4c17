import type { RuntimeConfig } from '../../components-bridge/src/config/types.js';
import { BridgeChild } from './bridge-child.js';
import type { Applied, ApplyOptions, BridgeMessage } from './bridge-child.js';
import { UserError } from './errors.js';
import { lastLines } from './log-file.js';

export interface BridgeOptions {
  /** The bridge's program. */
  program: string;
  /** File that holds the resolved configuration, its only argument. */
  configFile: string;
  logFile: string;
  onMessage: (message: BridgeMessage) => void;
  /** Told when it ended without being asked to, with the pause before it is started again. */
  onRestart: (how: string, pauseMs: number) => void;
}

/** Pauses before a restart: doubled each time, back to the first after it ran well for a while. */
const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 5_000;
const RAN_WELL_MS = 10_000;

/** How long a bridge may take to take over. It waits up to 5 s for its components. */
const TAKE_OVER_MS = 30_000;

/** The bridge: started, started again when it dies, replaced, and ended. */
export class BridgeProcess {
  /** Rejects if it ends before it was ready for the first time: then another try would end the same way. */
  readonly failed: Promise<never>;
  #fail: (error: UserError) => void = () => undefined;
  #current: BridgeChild | undefined;
  /** One that is to take over from the current one. */
  #next: BridgeChild | undefined;
  /** Those that finish what they have in hand after another took over. */
  readonly #leaving = new Set<BridgeChild>();
  #restart: NodeJS.Timeout | undefined;
  #pause = FIRST_PAUSE_MS;
  #wasReady = false;
  #stopping = false;

  constructor(private readonly options: BridgeOptions) {
    this.failed = new Promise((_, reject) => (this.#fail = reject));
    this.failed.catch(() => undefined);
    this.#start();
  }

  /** Process id; undefined between two runs of it. */
  get pid(): number | undefined {
    return this.#current?.pid;
  }

  /**
   * Brings its components to those of a configuration, see `BridgeChild.apply`. One that is not running does so when
   * it starts, from its configuration file.
   */
  async apply(config: RuntimeConfig, options: ApplyOptions): Promise<Applied[] | undefined> {
    return this.#current?.apply(config, options);
  }

  /**
   * Starts another one, which takes over with the configuration that its file holds now.
   *
   * @param lingerMs how long the old one may take for what it has in hand
   * @throws UserError if the other one does not come up; then the old one goes on serving
   */
  async replace(lingerMs: number): Promise<void> {
    if (this.#stopping || this.#next !== undefined) return;
    clearTimeout(this.#restart);
    // What it tells before it has taken over is told after that.
    const early: BridgeMessage[] = [];
    const next = this.#fork(['--takeover'], (message) => void early.push(message));
    this.#next = next;
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<string>((resolve) => {
      timer = setTimeout(() => resolve(`was not ready after ${TAKE_OVER_MS / 1000} s`), TAKE_OVER_MS);
    });
    const failure = await Promise.race([next.ready, late, next.ended.then((how) => `ended (${how})`)]);
    clearTimeout(timer);
    this.#next = undefined;
    if (failure !== undefined) {
      next.signal('SIGKILL');
      await next.ended;
      if (this.#stopping) return;
      if (this.#current === undefined) this.#start();
      const tail = lastLines(this.options.logFile, 3).map((line) => `\n  ${line}`);
      throw new UserError(
        `the new bridge ${failure}; the old one goes on serving; the end of ${this.options.logFile}:${tail.join('')}`,
      );
    }
    if (this.#current !== undefined) this.#leave(this.#current, lingerMs);
    this.#current = next;
    for (const message of early) this.options.onMessage(message);
  }

  /** Lets it finish what it has in hand, then ends it; the hard way after `graceMs`. */
  async stop(graceMs: number): Promise<void> {
    this.#stopping = true;
    clearTimeout(this.#restart);
    await Promise.all(this.#all().map((child) => child.stop(graceMs)));
  }

  kill(): void {
    this.#stopping = true;
    clearTimeout(this.#restart);
    for (const child of this.#all()) child.signal('SIGKILL');
  }

  #all(): BridgeChild[] {
    return [this.#current, this.#next, ...this.#leaving].filter((child) => child !== undefined);
  }

  #start(): void {
    this.#current = this.#fork([], () => undefined);
  }

  /** @param early takes what it tells while it is not the current one */
  #fork(args: readonly string[], early: (message: BridgeMessage) => void): BridgeChild {
    const { program, configFile, logFile, onMessage } = this.options;
    const child: BridgeChild = new BridgeChild({
      program,
      args: [configFile, ...args],
      logFile,
      append: this.#wasReady,
      onMessage: (told) => {
        if (told.type === 'ready') this.#wasReady = true;
        if (child === this.#current) onMessage(told);
        else if (child === this.#next && told.type !== 'ready') early(told);
      },
    });
    void child.ended.then((how) => this.#afterEnd(child, how));
    return child;
  }

  /** The old one goes by itself; if it does not, it is made to. */
  #leave(child: BridgeChild, lingerMs: number): void {
    this.#leaving.add(child);
    const timer = setTimeout(() => child.signal('SIGKILL'), lingerMs);
    timer.unref();
    void child.ended.then(() => {
      clearTimeout(timer);
      this.#leaving.delete(child);
    });
  }

  #afterEnd(child: BridgeChild, how: string): void {
    if (child !== this.#current) return;
    this.#current = undefined;
    // Another one is about to take its place anyway.
    if (this.#stopping || this.#next !== undefined) return;
    if (!this.#wasReady) {
      const tail = lastLines(this.options.logFile).map((line) => `\n  ${line}`);
      const where = `the end of ${this.options.logFile}:`;
      this.#fail(new UserError(`the bridge ended (${how}); ${where}${tail.join('')}`));
      return;
    }
    if (Date.now() - child.started >= RAN_WELL_MS) this.#pause = FIRST_PAUSE_MS;
    const pause = this.#pause;
    this.#pause = Math.min(2 * pause, LONGEST_PAUSE_MS);
    this.options.onRestart(how, pause);
    this.#restart = setTimeout(() => this.#start(), pause);
  }
}
