import { constants } from 'node:os';

const HANDLED = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** Signals to this process: the first asks to end in order, a second ends everything at once. */
export class Signals {
  /** Resolves with the first signal. */
  readonly first: Promise<NodeJS.Signals>;
  #resolve: (signal: NodeJS.Signals) => void = () => undefined;
  #received: NodeJS.Signals | undefined;
  #forced = false;
  #second: () => void = () => undefined;
  readonly #listener = (signal: NodeJS.Signals): void => {
    if (this.#received !== undefined) {
      this.#forced = true;
      this.#second();
      return;
    }
    this.#received = signal;
    this.#resolve(signal);
  };

  constructor() {
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

  /** Waits for some work, or for the first signal if that comes before. */
  async orAbort(work: Promise<void>): Promise<void> {
    await Promise.race([work, this.first]);
  }

  /** Stops listening, so that the process can be ended by signals as any other. */
  release(): void {
    for (const signal of HANDLED) process.off(signal, this.#listener);
  }
}
