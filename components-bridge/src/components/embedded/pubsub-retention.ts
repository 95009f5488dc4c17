import type { Logger } from 'pino';

import { reasonOf } from '../../primitives/errors.js';
import type { EmbeddedDatabase } from './database.js';
import type { Journal } from './pubsub-journal.js';

/** Into how many parts the time is cut, and how long a part may be, in milliseconds. */
const PARTS = 16;
const SHORTEST_PART_MS = 50;
const LONGEST_PART_MS = 3_600_000;

/**
 * Removes messages that are too old, whoever has not acknowledged them, so that a group that never comes back does not
 * hold them for good. Messages carry no time: now and then it is noted how many a topic had by then.
 */
export class Retention {
  readonly #timer: NodeJS.Timeout;
  /** Last position of each topic that was noted. */
  readonly #marks = new Map<number, number>();
  #working: Promise<void> | undefined;
  #ended = false;

  /** @param keptMs milliseconds that a message is kept at least; it goes at most a sixteenth, or an hour, later */
  constructor(
    private readonly database: EmbeddedDatabase,
    private readonly journal: Journal,
    private readonly keptMs: number,
    private readonly log: Logger,
  ) {
    const part = Math.min(Math.max(keptMs / PARTS, SHORTEST_PART_MS), LONGEST_PART_MS);
    this.#look();
    this.#timer = setInterval(() => this.#look(), part).unref();
  }

  async end(): Promise<void> {
    this.#ended = true;
    clearInterval(this.#timer);
    await this.#working;
  }

  #look(): void {
    this.#working ??= this.#work()
      .catch((error: unknown) => {
        if (!this.#ended) this.log.warn({ reason: reasonOf(error) }, 'removing old messages failed');
      })
      .finally(() => (this.#working = undefined));
  }

  async #work(): Promise<void> {
    const now = Date.now();
    if (this.journal.hasUnmarked(this.#marks)) await this.#write((change) => change.mark(now, this.#marks));
    const removed = new Map<string, number>();
    while (!this.#ended && this.journal.hasMark(now - this.keptMs)) {
      const found = await this.#write((change) => change.removeOld(now - this.keptMs));
      if (found === undefined) break;
      removed.set(found.topic, (removed.get(found.topic) ?? 0) + found.count);
    }
    for (const [topic, count] of removed)
      this.log.warn({ topic, count }, 'messages were removed because they are older than maxAge');
  }

  #write<Result>(perform: (change: ReturnType<Journal['change']>) => Result): Promise<Result> {
    return this.database.write(() => {
      const change = this.journal.change();
      const result = perform(change);
      change.finish();
      return result;
    });
  }
}
