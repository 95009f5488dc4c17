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
export const BRIDGE_NODE_OPTIONS: readonly string[] = ['--max-semi-space-size=1'];

/**
 * How the bridge is started. glibc keeps free memory for each of several arenas; a program with one busy thread needs
 * one.
 */
export function bridgeStart(): { execArgv: string[]; env: NodeJS.ProcessEnv } {
  return { execArgv: [...BRIDGE_NODE_OPTIONS], env: { MALLOC_ARENA_MAX: '1', ...process.env } };
}

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
  /** The answer to `ping`. */
  | { type: 'pong' }
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
  /** How often it is asked whether it still works; 3 s by default. */
  pingMs?: number | undefined;
}

/** A bridge that has not answered so many times hangs: by then every call it had has met its deadline. */
const UNANSWERED = 5;
const PING_MS = 3_000;

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
  #unanswered = 0;
  #pings: NodeJS.Timeout | undefined;

  constructor({ program, args, logFile, append, onMessage, pingMs = PING_MS }: BridgeChildOptions) {
    const log = openLog(logFile, append);
    // In a process group of its own, like Envoy: Ctrl-C is for the app.
    const child = fork(program, [...args], {
      detached: true,
      stdio: ['ignore', log, log, 'ipc'],
      ...bridgeStart(),
    });
    closeSync(log);
    this.#child = child;
    const release = endWithUs(child);
    let isReady: () => void = () => undefined;
    this.ready = new Promise((resolve) => (isReady = resolve));
    child.on('message', (message) => {
      const told = message as BridgeMessage;
      this.#unanswered = 0;
      if (told.type === 'ready') {
        isReady();
        this.#pings = setInterval(() => this.#ping(), pingMs);
      }
      if (told.type === 'applied') this.#answer(told.id, told.applied);
      else if (told.type !== 'pong') onMessage(told);
    });
    this.ended = new Promise((resolve) => {
      const end = (how: string): void => {
        if (!this.#running) return;
        this.#running = false;
        release();
        clearInterval(this.#pings);
        for (const id of this.#waiting.keys()) this.#answer(id, undefined);
        resolve(how);
      };
      child.once('error', (error) => end(`could not be started: ${error.message}`));
      child.once('exit', (code, signal) => {
        if (this.#unanswered >= UNANSWERED) end(`it did not answer for ${(UNANSWERED * pingMs) / 1000} s`);
        else end(signal === null ? `exit code ${code}` : `signal ${signal}`);
      });
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

  /** Asks it whether it still works, and ends one that hangs. */
  #ping(): void {
    if (this.#unanswered >= UNANSWERED) {
      this.signal('SIGKILL');
      return;
    }
    this.#unanswered++;
    this.#child.send({ type: 'ping' }, () => undefined);
  }

  #answer(id: number, applied: Applied[] | undefined): void {
    const resolve = this.#waiting.get(id);
    this.#waiting.delete(id);
    resolve?.(applied);
  }
}
