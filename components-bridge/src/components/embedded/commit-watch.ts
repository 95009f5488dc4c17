import type { EmbeddedDatabase } from './database.js';

/** The last look at which what was committed before is looked for once more. */
const LAST_LOOK = 64;

/**
 * Notices that somebody has committed, in this process or another. lmdb counts a commit before it can be read, by as long
 * as the disk takes for its last page: who looks in between sees nothing new, and would wait for the next commit. So a
 * change is told again 1, 2, 4, … 64 looks after it was noticed.
 */
export class CommitWatch {
  #seen: number;
  #looks = 0;
  #again = Infinity;

  constructor(private readonly database: Pick<EmbeddedDatabase, 'lastCommit'>) {
    this.#seen = database.lastCommit;
  }

  /** @returns whether there may be something new to read */
  look(): boolean {
    const last = this.database.lastCommit;
    this.#looks++;
    if (last !== this.#seen) {
      this.#seen = last;
      this.#looks = 0;
      this.#again = 1;
      return true;
    }
    if (this.#looks < this.#again) return false;
    this.#again = this.#again < LAST_LOOK ? 2 * this.#again : Infinity;
    return true;
  }
}
