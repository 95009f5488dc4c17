import { fork } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { closeSync } from 'node:fs';

import { UserError } from './errors.js';
import { lastLines, openLog } from './log-file.js';
import { endWithUs } from './watchdog.js';

/** What the bridge tells its parent. */
export type BridgeMessage =
  /** It listens. */
  | { type: 'ready' }
  /** How many sessions are open. */
  | { type: 'sessions'; open: number }
  /** A component became ready or stopped being so. */
  | { type: 'health'; component: string; ready: boolean; reason?: string };

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

/**
 * Options of Node for the bridge. Its garbage is short-lived; with the default of 16 MiB for it, a bridge that was busy
 * once keeps 28 MB more, and calls cost no less.
 */
export const BRIDGE_NODE_OPTIONS: readonly string[] = ['--max-semi-space-size=2'];

/** Pauses before a restart: doubled each time, back to the first after it ran well for a while. */
const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 5_000;
const RAN_WELL_MS = 10_000;

/** The bridge: started, started again when it dies, and ended. */
export class BridgeProcess {
  /** Rejects if it ends before it was ready for the first time: then another try would end the same way. */
  readonly failed: Promise<never>;
  #fail: (error: UserError) => void = () => undefined;
  #child: ChildProcess | undefined;
  #ended: Promise<void> = Promise.resolve();
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
    return this.#child?.pid;
  }

  /** Lets it finish what it has in hand, then ends it; the hard way after `graceMs`. */
  async stop(graceMs: number): Promise<void> {
    this.#stopping = true;
    clearTimeout(this.#restart);
    this.#child?.kill('SIGTERM');
    const timer = setTimeout(() => this.kill(), graceMs);
    await this.#ended;
    clearTimeout(timer);
  }

  kill(): void {
    this.#stopping = true;
    clearTimeout(this.#restart);
    this.#child?.kill('SIGKILL');
  }

  #start(): void {
    const { program, configFile, logFile, onMessage } = this.options;
    const log = openLog(logFile, this.#wasReady);
    const started = Date.now();
    // In a process group of its own, like Envoy: Ctrl-C is for the app.
    const child = fork(program, [configFile], {
      detached: true,
      stdio: ['ignore', log, log, 'ipc'],
      execArgv: [...BRIDGE_NODE_OPTIONS],
    });
    closeSync(log);
    this.#child = child;
    const release = endWithUs(child);
    child.on('message', (message) => {
      const told = message as BridgeMessage;
      if (told.type === 'ready') this.#wasReady = true;
      onMessage(told);
    });
    this.#ended = new Promise((resolve) => {
      let over = false;
      const end = (how: string): void => {
        if (over) return;
        over = true;
        release();
        this.#child = undefined;
        resolve();
        this.#afterEnd(how, Date.now() - started);
      };
      child.once('error', (error) => end(`could not be started: ${error.message}`));
      child.once('exit', (code, signal) => end(signal === null ? `exit code ${code}` : `signal ${signal}`));
    });
  }

  #afterEnd(how: string, ranMs: number): void {
    if (this.#stopping) return;
    if (!this.#wasReady) {
      const tail = lastLines(this.options.logFile).map((line) => `\n  ${line}`);
      const where = `the end of ${this.options.logFile}:`;
      this.#fail(new UserError(`the bridge ended (${how}); ${where}${tail.join('')}`));
      return;
    }
    if (ranMs >= RAN_WELL_MS) this.#pause = FIRST_PAUSE_MS;
    const pause = this.#pause;
    this.#pause = Math.min(2 * pause, LONGEST_PAUSE_MS);
    this.options.onRestart(how, pause);
    this.#restart = setTimeout(() => this.#start(), pause);
  }
}
