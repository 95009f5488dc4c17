import { BrokerError } from '../primitives/pubsub/broker.js';

/**
 * Lets calls through while their server is there. Once it is known to be lost they fail at once, and so do those that
 * were on their way: whether these were done is not known.
 */
export class CallGate {
  #lost: string | undefined;
  readonly #pending = new Set<(error: BrokerError) => void>();

  /** @param told what a failure of the server or its client means */
  constructor(private readonly told: (error: unknown) => BrokerError) {}

  /** Why calls fail at present; undefined if they do not. */
  get lost(): string | undefined {
    return this.#lost;
  }

  /** @throws BrokerError */
  call<Result>(ask: () => Promise<Result>): Promise<Result> {
    if (this.#lost !== undefined) return Promise.reject(new BrokerError('unavailable', this.#lost));
    return new Promise((resolve, reject) => {
      this.#pending.add(reject);
      ask()
        .then(resolve, (error: unknown) => reject(this.told(error)))
        .finally(() => this.#pending.delete(reject));
    });
  }

  shut(reason: string): void {
    this.#lost = reason;
    const error = new BrokerError('unavailable', reason);
    for (const reject of this.#pending) reject(error);
    this.#pending.clear();
  }

  open(): void {
    this.#lost = undefined;
  }
}
