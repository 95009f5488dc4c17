import { fork } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { closeSync } from 'node:fs';

import type { RuntimeConfig } from '../../components-bridge/src/config/types.js';
import { openLog } from './log-file.js';
import { endWithUs } from './watchdog.js';

/**
 * Options of Node for the bridge. Its garbage is short-lived; with the default of 16 MiB for it, a bridge that was busy
 * once keeps 28 MB more, and calls cost no less.
 */
export const BRIDGE_NODE_OPTIONS: readonly string[] = ['--max-semi-space-size=2'];

/** What became of one component that was applied. */
export interface Applied {
  primitive: string;
  name: string;
  outcome: 'unchanged' | 'added' | 'replaced' | 'kept' | 'removed';
  /** Why it is not ready by its new settings, if it is not. */
  reason?: string;
}

/** What the bridge tells its parent. */
export type BridgeMessage =
  /** It listens. */
  | { type: 'ready' }
  /** How many sessions are open. */
  | { type: 'sessions'; open: number }
  /** A component became ready or stopped being so. */
  | { type: 'health'; component: string; ready: boolean; reason?: string }
  /** The answer to `apply`. */
  | { type: 'applied'; id: number; applied: Applied[] }
  /** Settings that `apply` did not wait for are in use now. */
  | { type: 'replaced'; primitive: string; component: string };

/** How components are applied. */
export interface ApplyOptions {
  /** Whether components that are not among those given are removed. */
  removeOthers: boolean;
  /** How long each may take to become ready before the answer comes. It is still tried after that. */
  waitMs: number;
}

export interface BridgeChildOptions {
  /** The bridge's program. */
  program: string;
  args: readonly string[];
  logFile: string;
  /** Keep what the log holds. */
  append: boolean;
  onMessage: (message: BridgeMessage) => void;
}

/** One process of the bridge. */
export class BridgeChild {
  readonly started = Date.now();
  /** Resolves when it listens. */
  readonly ready: Promise<void>;
  /** Resolves when it has ended, with what to call that. */
  readonly ended: Promise<string>;
  readonly #child: ChildProcess;
  readonly #waiting = new Map<number, (applied: Applied[] | undefined) => void>();
  #nextId = 1;
  #running = true;

  constructor({ program, args, logFile, append, onMessage }: BridgeChildOptions) {
    const log = openLog(logFile, append);
    // In a process group of its own, like Envoy: Ctrl-C is for the app.
    const child = fork(program, [...args], {
      detached: true,
      stdio: ['ignore', log, log, 'ipc'],
      execArgv: [...BRIDGE_NODE_OPTIONS],
    });
    closeSync(log);
    this.#child = child;
    const release = endWithUs(child);
    let isReady: () => void = () => undefined;
    this.ready = new Promise((resolve) => (isReady = resolve));
    child.on('message', (message) => {
      const told = message as BridgeMessage;
      if (told.type === 'ready') isReady();
      if (told.type === 'applied') this.#answer(told.id, told.applied);
      else onMessage(told);
    });
    this.ended = new Promise((resolve) => {
      const end = (how: string): void => {
        if (!this.#running) return;
        this.#running = false;
        release();
        for (const id of this.#waiting.keys()) this.#answer(id, undefined);
        resolve(how);
      };
      child.once('error', (error) => end(`could not be started: ${error.message}`));
      child.once('exit', (code, signal) => end(signal === null ? `exit code ${code}` : `signal ${signal}`));
    });
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  get running(): boolean {
    return this.#running;
  }

  /**
   * Has it bring its components to those of a configuration.
   *
   * @returns what became of each; undefined if it ended instead
   */
  apply(config: RuntimeConfig, options: ApplyOptions): Promise<Applied[] | undefined> {
    const id = this.#nextId++;
    return new Promise((resolve) => {
      this.#waiting.set(id, resolve);
      this.#child.send({ type: 'apply', id, config, options }, (error) => {
        if (error !== null) this.#answer(id, undefined);
      });
    });
  }

  signal(signal: NodeJS.Signals): void {
    if (this.#running) this.#child.kill(signal);
  }

  /** Lets it finish what it has in hand, then ends it; the hard way after `graceMs`. */
  async stop(graceMs: number): Promise<void> {
    this.signal('SIGTERM');
    const timer = setTimeout(() => this.signal('SIGKILL'), graceMs);
    await this.ended;
    clearTimeout(timer);
  }

  #answer(id: number, applied: Applied[] | undefined): void {
    const resolve = this.#waiting.get(id);
    this.#waiting.delete(id);
    resolve?.(applied);
  }
}
