import { createHash } from 'node:crypto';
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Logger } from 'pino';

import { reasonOf } from '../../primitives/errors.js';
import type { Release } from './config-client.js';

/** What is kept of a namespace. */
interface Kept {
  namespace: string;
  release: Release;
}

/**
 * Releases on disk, so that a bridge that starts while Apollo is away has something to serve. Files are replaced as a
 * whole and for this user alone: configurations may hold secrets.
 */
export class DiskCache {
  /** The last write of each namespace. */
  readonly #writes = new Map<string, Promise<void>>();

  /**
   * @param dir its own folder
   * @param of whose releases they are; others' are not read
   */
  constructor(
    private readonly dir: string,
    private readonly of: string,
    private readonly log: Logger,
  ) {}

  /** What is kept of a namespace; undefined if nothing is, or nothing that can be used. */
  async read(namespace: string): Promise<Release | undefined> {
    const path = this.#path(namespace);
    let text: string;
    try {
      text = await readFile(path, 'utf8');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') this.#warn(path, error);
      return undefined;
    }
    try {
      const kept = JSON.parse(text) as Partial<Kept>;
      const { configurations } = kept.release ?? {};
      if (kept.namespace === namespace && typeof configurations === 'object') return kept.release;
      throw new Error('it is of another form');
    } catch (error) {
      this.#warn(path, error);
      return undefined;
    }
  }

  /** Keeps a release, or that there is none, in the background and in order. */
  write(namespace: string, release: Release | undefined): void {
    const path = this.#path(namespace);
    const before = this.#writes.get(namespace) ?? Promise.resolve();
    const write = before.then(async () => {
      try {
        if (release === undefined) return await rm(path, { force: true });
        await mkdir(this.dir, { recursive: true, mode: 0o700 });
        const kept: Kept = { namespace, release };
        await writeFile(`${path}.new`, JSON.stringify(kept), { mode: 0o600, flush: true });
        await rename(`${path}.new`, path);
      } catch (error) {
        this.#warn(path, error);
      }
    });
    this.#writes.set(namespace, write);
    void write.then(() => {
      if (this.#writes.get(namespace) === write) this.#writes.delete(namespace);
    });
  }

  /** Waits until everything is written. */
  async close(): Promise<void> {
    await Promise.all(this.#writes.values());
  }

  #path(namespace: string): string {
    const hash = createHash('sha256').update(`${this.of}\n${namespace}`).digest('hex');
    return join(this.dir, `${hash.slice(0, 32)}.json`);
  }

  #warn(path: string, error: unknown): void {
    this.log.warn({ path, reason: reasonOf(error) }, 'a configuration on disk cannot be used');
  }
}
