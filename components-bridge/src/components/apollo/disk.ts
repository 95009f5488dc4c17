import { createHash } from 'node:crypto';
import { mkdir, open as openFile, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';

import type { Configuration } from './answers.js';

/** Files that are kept; the oldest go. */
const MOST_FILES = 64;
const MOST_FILE_BYTES = 32 * 1024 * 1024;

/** A configuration as it was read some time ago. */
export interface Kept extends Configuration {
  /** When Apollo last said so. */
  savedAt: Date;
}

/** Configurations on disk, one file each, for the time when Apollo is away. */
export class Disk {
  /** Writes one after the other: a later one must not be overtaken. */
  #writing: Promise<void> = Promise.resolve();

  /** @param scope what a file must have been written for: Apollo, app and cluster */
  constructor(
    private readonly folder: string,
    private readonly scope: readonly string[],
  ) {}

  /** @returns undefined if it was never kept, or is no good */
  async load(namespace: string): Promise<Kept | undefined> {
    const path = this.#path(namespace);
    try {
      if ((await stat(path)).size > MOST_FILE_BYTES) return undefined;
      const kept = JSON.parse(await readFile(path, 'utf8')) as Record<string, unknown>;
      const { scope, namespace: of, releaseKey, savedAt, texts } = kept;
      if (JSON.stringify(scope) !== JSON.stringify(this.scope) || of !== namespace) return undefined;
      if (typeof releaseKey !== 'string' || typeof savedAt !== 'string' || !Array.isArray(texts))
        return undefined;
      const pairs = texts as [unknown, unknown][];
      if (!pairs.every(([key, value]) => typeof key === 'string' && typeof value === 'string'))
        return undefined;
      return { releaseKey, texts: new Map(pairs as [string, string][]), savedAt: new Date(savedAt) };
    } catch {
      return undefined;
    }
  }

  /** Keeps a configuration in the place of the one before, whole or not at all. @throws Error */
  save(namespace: string, { releaseKey, texts }: Configuration): Promise<void> {
    return this.#inTurn(async () => {
      await mkdir(this.folder, { recursive: true, mode: 0o700 });
      const path = this.#path(namespace);
      const { scope } = this;
      const kept = { scope, namespace, releaseKey, savedAt: new Date().toISOString(), texts: [...texts] };
      const file = await openFile(`${path}.new`, 'w', 0o600);
      try {
        await file.writeFile(JSON.stringify(kept));
        await file.sync();
      } finally {
        await file.close();
      }
      await rename(`${path}.new`, path);
      await this.#removeOldest();
    });
  }

  /** Forgets a configuration that is no more. @throws Error */
  remove(namespace: string): Promise<void> {
    return this.#inTurn(() => rm(this.#path(namespace), { force: true }));
  }

  /** Resolves when everything is written. */
  async close(): Promise<void> {
    await this.#writing;
  }

  #inTurn(write: () => Promise<void>): Promise<void> {
    const turn = this.#writing.then(write);
    this.#writing = turn.catch(() => undefined);
    return turn;
  }

  async #removeOldest(): Promise<void> {
    const names = await readdir(this.folder);
    if (names.length <= MOST_FILES) return;
    const files = await Promise.all(
      names.map(async (name) => ({ name, time: (await stat(join(this.folder, name))).mtimeMs })),
    );
    files.sort((a, b) => b.time - a.time);
    for (const { name } of files.slice(MOST_FILES)) await rm(join(this.folder, name), { force: true });
  }

  #path(namespace: string): string {
    const hash = createHash('sha256').update(JSON.stringify([...this.scope, namespace]));
    return join(this.folder, `${hash.digest('hex').slice(0, 32)}.json`);
  }
}
