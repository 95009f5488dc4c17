import { closeSync, constants as flags, openSync } from 'node:fs';
import { constants } from 'node:os';

const HANDLED = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/**
 * Signals to this process: the first asks to end in order, a second ends everything at once. SIGHUP counts among them
 * only if the terminal that the process had is gone; else it asks to do something again.
 */
export class Signals {
  /** Resolves with the first signal. */
  readonly first: Promise<NodeJS.Signals>;
  #resolve: (signal: NodeJS.Signals) => void = () => undefined;
  #received: NodeJS.Signals | undefined;
  #forced = false;
  #second: () => void = () => undefined;
  #hangup: () => void = () => undefined;
  readonly #hadTerminal: boolean;
  readonly #listener = (signal: NodeJS.Signals): void => {
    if (signal === 'SIGHUP' && !(this.#hadTerminal && !this.hasTerminal())) {
      this.#hangup();
      return;
    }
    if (this.#received !== undefined) {
      this.#forced = true;
      this.#second();
      return;
    }
    this.#received = signal;
    this.#resolve(signal);
  };

  /** @param hasTerminal whether there is a terminal that could type Ctrl-C */
  constructor(private readonly hasTerminal: () => boolean = hasControllingTerminal) {
    this.#hadTerminal = hasTerminal();
    this.first = new Promise((resolve) => (this.#resolve = resolve));
    for (const signal of HANDLED) process.on(signal, this.#listener);
  }

  /** The first signal, undefined while there was none. */
  get received(): NodeJS.Signals | undefined {
    return this.#received;
  }

  /** Whether there was a second. */
  get forced(): boolean {
    return this.#forced;
  }

  /** What a shell adds to 128 for the first signal. */
  get number(): number {
    return this.#received === undefined ? 0 : constants.signals[this.#received];
  }

  /** Sets what a second signal does. */
  onSecond(action: () => void): void {
    this.#second = action;
  }

  /** Sets what SIGHUP does while the terminal is still there, or where there never was one. */
  onHangup(action: () => void): void {
    this.#hangup = action;
  }

  /** Waits for some work, or for the first signal if that comes before. */
  async orAbort(work: Promise<void>): Promise<void> {
    await Promise.race([work, this.first]);
  }

  /** Stops listening, so that the process can be ended by signals as any other. */
  release(): void {
    for (const signal of HANDLED) process.off(signal, this.#listener);
  }
}

/** When a terminal is closed, the kernel takes it from its processes before it sends them SIGHUP. */
function hasControllingTerminal(): boolean {
  try {
    closeSync(openSync('/dev/tty', flags.O_RDONLY | flags.O_NOCTTY));
    return true;
  } catch {
    return false;
  }
}
