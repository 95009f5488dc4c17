import { readFileSync, statSync } from 'node:fs';
import type { Logger } from 'pino';

import { AppError } from './app-channel.js';
import { reasonOf } from './errors.js';

/** How long a token is used before its file is looked at again, in milliseconds. */
const LOOK_AFTER_MS = 1_000;
const LONGEST_BYTES = 8 * 1024;

/** What can stand in a header: visible ASCII. */
const TOKEN = /^[\x21-\x7e]+$/;

/** What the app knows the runtime by, in a file that may change at any time, as the files of a mounted Secret do. */
export class AppTokenFile {
  #token: string | undefined;
  #read = '';
  #looked = -Infinity;
  #problem = '';

  /** @param onToken told of each token, so that nobody shows it */
  constructor(
    private readonly file: string,
    private readonly log: Logger,
    private readonly onToken: (token: string) => void,
  ) {}

  /**
   * The token as the file has it, or as it had it when it could be read last.
   *
   * @throws AppError `away` if it could never be read: the app would refuse every call
   */
  get value(): string {
    const now = performance.now();
    if (now - this.#looked >= LOOK_AFTER_MS) {
      this.#looked = now;
      this.#look();
    }
    if (this.#token === undefined) throw new AppError('away', `app.tokenFile: ${this.#problem}`);
    return this.#token;
  }

  #look(): void {
    try {
      const { mtimeMs, ino, size } = statSync(this.file);
      const version = `${mtimeMs} ${ino} ${size}`;
      if (version === this.#read) return;
      if (size > LONGEST_BYTES) throw new Error(`expected at most ${LONGEST_BYTES} bytes, found ${size}`);
      const token = readFileSync(this.file, 'utf8').trim();
      if (!TOKEN.test(token)) throw new Error('expected one line of visible ASCII without spaces');
      this.#read = version;
      this.#problem = '';
      this.#token = token;
      this.onToken(token);
    } catch (error) {
      const problem = `${this.file}: ${reasonOf(error)}`;
      if (problem === this.#problem) return;
      this.#problem = problem;
      const meanwhile = this.#token === undefined ? 'events wait' : 'the token before it is used';
      this.log.error({ problem }, `the token for the app cannot be read; ${meanwhile}`);
    }
  }
}
