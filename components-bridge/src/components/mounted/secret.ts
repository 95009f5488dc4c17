import { open as openFile, readdir, realpath, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { Logger } from 'pino';

import type { ComponentContext } from '../../primitives/component.js';
import { reasonOf } from '../../primitives/errors.js';
import { SecretError } from '../../primitives/secret/store.js';
import type { SecretEntries, SecretStore } from '../../primitives/secret/store.js';
import { metadataSchema } from './metadata.js';

/** Kubernetes has no larger secrets. */
const MAX_VALUE_BYTES = 1024 * 1024;
/** More entries than this in one folder are no folder of secrets. */
const MAX_ENTRIES = 10_000;

/** The link that the kubelet turns to another folder, all at once, when a secret has changed. */
const DATA = '..data';
/** How often a read is tried, because what it reads may be taken away meanwhile. */
const TRIES = 5;

/** Secrets as files, the way Kubernetes mounts them. @throws Error if the folder cannot be read now */
export async function open({
  metadata,
  log,
}: Pick<ComponentContext, 'metadata' | 'log'>): Promise<SecretStore> {
  const folder = resolve(metadataSchema.parse(metadata).path);
  const store = new MountedSecretStore(folder, log);
  await store.names();
  return store;
}

/**
 * A folder in the folder is a secret whose entries are its files; a file is a secret with one entry. Files are read
 * for each call, so changes are seen at once. Names that begin with `..` are Kubernetes' own.
 */
export class MountedSecretStore implements SecretStore {
  /** Files that were left out and have been told of. */
  readonly #told = new Set<string>();

  constructor(
    private readonly folder: string,
    private readonly log: Logger,
  ) {}

  async get(name: string): Promise<SecretEntries | undefined> {
    if (!isName(name)) return undefined;
    return this.#stable(async () => {
      // Folders of single secrets are mounts of their own, with a link of their own; files stand behind this one's.
      const path = join(await current(this.folder), name);
      const info = await stat(path);
      if (info.isDirectory()) return this.#readFolder(await current(path), name);
      return info.isFile() ? new Map([[name, await readText(path)]]) : undefined;
    });
  }

  async names(): Promise<string[]> {
    const names = await this.#stable(async () => list(await current(this.folder)));
    if (names === undefined) throw new SecretError(`there is no folder ${this.folder}`);
    return names;
  }

  async probe(): Promise<void> {
    await this.names();
  }

  async close(): Promise<void> {}

  async #readFolder(folder: string, name: string): Promise<SecretEntries> {
    const entries = new Map<string, string>();
    for (const key of await list(folder)) {
      const path = join(folder, key);
      if (!(await stat(path)).isFile()) continue;
      try {
        entries.set(key, await readText(path));
      } catch (error) {
        if (!(error instanceof SecretError)) throw error;
        this.#leaveOut(`${name}/${key}`, error);
      }
    }
    return entries;
  }

  /** One entry that is no text must not take the others of its secret away. */
  #leaveOut(entry: string, error: SecretError): void {
    if (this.#told.has(entry) || this.#told.size >= MAX_ENTRIES) return;
    this.#told.add(entry);
    this.log.warn({ entry, reason: error.message }, 'an entry of a secret is left out');
  }

  /**
   * Reads until nothing was taken away meanwhile.
   *
   * @returns undefined if there is no such file or folder
   */
  async #stable<Result>(read: () => Promise<Result>): Promise<Result | undefined> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await read();
      } catch (error) {
        if (error instanceof SecretError) throw error;
        const { code } = error as NodeJS.ErrnoException;
        const gone = code === 'ENOENT' || code === 'ENOTDIR';
        if (gone && attempt < TRIES) continue;
        if (gone) return undefined;
        throw new SecretError(`the secrets in ${this.folder} cannot be read: ${reasonOf(error)}`);
      }
    }
  }
}

/** Where the files of a mounted folder are now: all of one version. */
async function current(folder: string): Promise<string> {
  try {
    return await realpath(join(folder, DATA));
  } catch (error) {
    // An ordinary folder has no such link.
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return folder;
    throw error;
  }
}

async function list(folder: string): Promise<string[]> {
  const names = (await readdir(folder)).filter(isName).sort();
  if (names.length > MAX_ENTRIES)
    throw new SecretError(`${folder} has more than ${MAX_ENTRIES} entries: it is no folder of secrets`);
  return names;
}

/** One part of a path, and not one of Kubernetes' own: names come from callers. */
function isName(name: string): boolean {
  return name !== '' && name !== '.' && !name.startsWith('..') && !/[/\\\0]/.test(name);
}

async function readText(path: string): Promise<string> {
  const file = await openFile(path);
  try {
    const info = await file.stat();
    if (!info.isFile()) throw new SecretError('it is no file');
    if (info.size > MAX_VALUE_BYTES)
      throw new SecretError(`it has ${info.size} bytes; at most ${MAX_VALUE_BYTES} are read`);
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(await file.readFile());
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ERR_ENCODING_INVALID_ENCODED_DATA')
      throw new SecretError('it is not UTF-8 text');
    throw error;
  } finally {
    await file.close();
  }
}
