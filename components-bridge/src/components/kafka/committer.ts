import type { Consumer } from 'kafkajs';
import type { Logger } from 'pino';

import { reasonOf } from '../../primitives/errors.js';
import { causeOf } from './failure.js';
import type { Progress } from './progress.js';

/** Pause between two commits. */
const COMMIT_MS = 100;

/** A partition that a member of the group has. */
export interface Partition {
  readonly number: number;
  progress: Progress;
  /** Resolves when `progress` says what the group's members before have left. */
  ready: Promise<unknown>;
  paused: boolean;
  /** What was committed last: offset and metadata. */
  committed: string;
}

/** Says how far a group is in the partitions of one member, soon after that has changed. */
export class Committer {
  #timer: NodeJS.Timeout | undefined;
  #underWay: Promise<void> = Promise.resolve();
  #ended = false;

  /**
   * @param partitions that the member has at present
   * @param consumer the member, undefined before it is one
   */
  constructor(
    private readonly topic: string,
    private readonly partitions: () => Iterable<Partition>,
    private readonly consumer: () => Consumer | undefined,
    private readonly log: Logger,
  ) {}

  soon(): void {
    if (this.#timer !== undefined || this.#ended) return;
    this.#timer = setTimeout(() => {
      this.#underWay = this.#commit().finally(() => {
        this.#timer = undefined;
      });
    }, COMMIT_MS);
  }

  /** Commits for the last time. */
  async end(): Promise<void> {
    this.#ended = true;
    clearTimeout(this.#timer);
    await this.#underWay;
    await this.#commit();
  }

  async #commit(): Promise<void> {
    const changed = [];
    for (const partition of this.partitions()) {
      const { low } = partition.progress;
      if (low < 0) continue;
      const metadata = partition.progress.note();
      const committed = `${low} ${metadata}`;
      if (committed !== partition.committed)
        changed.push({ partition, committed, offset: String(low), metadata });
    }
    if (changed.length === 0) return;
    const { topic } = this;
    try {
      await this.consumer()?.commitOffsets(
        changed.map(({ partition, offset, metadata }) => ({
          topic,
          partition: partition.number,
          offset,
          metadata,
        })),
      );
      for (const { partition, committed } of changed) partition.committed = committed;
    } catch (error) {
      // The group is being shared out anew, or its coordinator is away: what is done is said later, or done again.
      this.log.debug({ topic, reason: reasonOf(causeOf(error)) }, 'no offsets can be committed');
    }
  }
}
