import { item, STRONG } from '../conformance/state-client.js';
import type { Refusal, StateClient } from '../conformance/state-client.js';
import { sleep } from '../support/wait.js';
import { OperationError } from '../../components-bridge/src/primitives/errors.js';

/** Pause between two writes of a writer: the machine has others to run. */
const PAUSE_MS = 2;

/** A write that was acknowledged. */
export interface Acknowledged {
  key: string;
  strong: boolean;
  /** When, on the clock of `performance`. */
  at: number;
}

/** A call that was refused. */
export interface Failed extends Refusal {
  call: string;
  /** When it was made, on the clock of `performance`, and how long it took. */
  at: number;
  tookMs: number;
}

/**
 * Writers that save one numbered value after the other, each under a key of its own, and readers that read what was
 * acknowledged; all keep count.
 */
export class NumberedWrites {
  readonly acknowledged: Acknowledged[] = [];
  readonly failed: Failed[] = [];
  /** Keys that were acknowledged and that a reader found to be absent or another's. */
  readonly misread: string[] = [];
  #reads = 0;
  #stopped = false;
  readonly #running: Promise<void>[];

  /**
   * @param keyOf the key of number `count` of a writer
   * @param strong which writers demand STRONG consistency; their number is that of the writers
   */
  constructor(
    private readonly state: StateClient,
    private readonly keyOf: (writer: number, count: number) => string,
    strong: readonly boolean[],
  ) {
    this.#running = [...strong.map((each, writer) => this.#write(writer, each)), this.#read(), this.#read()];
  }

  /** How many reads found what they were to find. */
  get reads(): number {
    return this.#reads;
  }

  /** Acknowledged writes that are not there. */
  async lost(): Promise<Acknowledged[]> {
    const lost: Acknowledged[] = [];
    for (let start = 0; start < this.acknowledged.length; start += 1_000) {
      const slice = this.acknowledged.slice(start, start + 1_000);
      const items = await this.state.bulk(slice.map(({ key }) => key));
      items.forEach(({ data, error }, index) => {
        const wanted = slice[index] as Acknowledged;
        if (error !== '') throw new Error(`${wanted.key} could not be read: ${error}`);
        if (Buffer.from(data).toString() !== wanted.key) lost.push(wanted);
      });
    }
    return lost;
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all(this.#running);
  }

  async #write(writer: number, strong: boolean): Promise<void> {
    for (let count = 0; !this.#stopped; count++) {
      const key = this.keyOf(writer, count);
      const write = this.state.save(item(key, key, strong ? STRONG : {}));
      if (await this.#attempt('save', write)) this.acknowledged.push({ key, strong, at: performance.now() });
      await sleep(PAUSE_MS);
    }
  }

  async #read(): Promise<void> {
    while (!this.#stopped) {
      const wanted = this.acknowledged[Math.floor(Math.random() * this.acknowledged.length)];
      await sleep(PAUSE_MS);
      if (wanted === undefined) continue;
      await this.#attempt(
        'get',
        this.state.get(wanted.key).then(({ data }) => {
          if (data === wanted.key) this.#reads++;
          else this.misread.push(wanted.key);
        }),
      );
    }
  }

  async #attempt(call: string, work: Promise<unknown>): Promise<boolean> {
    const at = performance.now();
    try {
      await work;
      return true;
    } catch (error) {
      if (!(error instanceof OperationError)) throw error;
      const { code, message } = error;
      this.failed.push({ call, at, tookMs: performance.now() - at, code, message });
      return false;
    }
  }
}
