import { Call } from '../../components-bridge/src/primitives/call.js';
import { Code, OperationError } from '../../components-bridge/src/primitives/errors.js';
import type {
  MessageStream,
  StreamHandler,
  StreamSubject,
} from '../../components-bridge/src/primitives/stream.js';

/** A streaming call without a network: what is sent waits until it is read. */
export class TestStream implements MessageStream {
  readonly call: Call;
  /** What the policy was asked for. */
  readonly admitted: StreamSubject[] = [];
  /** Settles as the call does. */
  readonly done: Promise<void>;
  readonly #abort = new AbortController();
  readonly #leaving = new AbortController();
  readonly #requests: Uint8Array[] = [];
  readonly #answers: Uint8Array[] = [];
  #onEnded: () => void = () => undefined;
  readonly ended = new Promise<void>((resolve) => (this.#onEnded = resolve));
  #hasEnded = false;
  #over = false;
  #changed: () => void = () => undefined;
  #change = new Promise<void>(() => undefined);

  constructor(path: string, handler: StreamHandler) {
    this.call = new Call(path.slice(1), '', performance.now());
    this.#renew();
    this.done = handler(this).finally(() => {
      this.#over = true;
      this.#notify();
    });
    this.done.catch(() => undefined);
  }

  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  get leaving(): AbortSignal {
    return this.#leaving.signal;
  }

  admit(subject: StreamSubject): void {
    this.admitted.push(subject);
  }

  async read(): Promise<Uint8Array | undefined> {
    for (;;) {
      this.signal.throwIfAborted();
      const message = this.#requests.shift();
      if (message !== undefined || this.#hasEnded) return message;
      await this.#change;
    }
  }

  async send(message: Uint8Array): Promise<void> {
    this.signal.throwIfAborted();
    if (this.admitted.length === 0) throw new Error('the policy was not asked');
    this.#answers.push(message);
    this.#notify();
    while (this.#answers.includes(message)) {
      await this.#change;
      this.signal.throwIfAborted();
    }
  }

  /** The caller sends a message. */
  request(message: Uint8Array): this {
    this.#requests.push(message);
    this.#notify();
    return this;
  }

  /** The caller has sent its last message. */
  end(): this {
    this.#hasEnded = true;
    this.#onEnded();
    this.#notify();
    return this;
  }

  /** The next message that the caller gets; undefined after the last. @throws what the call ended with */
  async answer(): Promise<Uint8Array | undefined> {
    for (;;) {
      const message = this.#answers.shift();
      if (message !== undefined) {
        this.#notify();
        return message;
      }
      if (this.#over) {
        await this.done;
        return undefined;
      }
      await this.#change;
    }
  }

  /** The caller sends no more, and takes what comes. @throws what the call ended with */
  async finish(): Promise<void> {
    this.end();
    while ((await this.answer()) !== undefined);
  }

  /** The caller goes away. */
  cancel(): void {
    this.#abort.abort(new OperationError(Code.CANCELLED, 'the call was cancelled'));
    this.#notify();
  }

  /** The bridge is about to end. */
  leave(): void {
    this.#leaving.abort();
    this.#notify();
  }

  #notify(): void {
    const changed = this.#changed;
    this.#renew();
    changed();
  }

  #renew(): void {
    this.#change = new Promise((resolve) => (this.#changed = resolve));
  }
}
