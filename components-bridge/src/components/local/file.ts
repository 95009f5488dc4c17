import { constants } from 'node:fs';
import type { Stats } from 'node:fs';
import { lstat, mkdir, open as openFile, opendir, realpath, rmdir, unlink } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { join, resolve } from 'node:path';

import type { ComponentContext } from '../../primitives/component.js';
import { FileError } from '../../primitives/file/store.js';
import type { FileFacts, FilePage, FileReader, FileStore, FileWriter } from '../../primitives/file/store.js';
import { probeFolder } from '../folder-probe.js';
import { failureOf, shownName } from './failure.js';
import { SmallestNames } from './listing.js';
import { metadataSchema } from './metadata.js';
import { Paths, UPLOADS } from './paths.js';
import { putOptions } from './put-options.js';
import { Uploads } from './uploads.js';

/** Bytes of a message of GetFile, as in Layotto. */
const CHUNK = 100 * 1024;

/** Entries of a folder that are read at a time. */
const ENTRIES = 512;

/** Opens the folder, which is made if it is not there. */
export async function open(
  context: Pick<ComponentContext, 'name' | 'metadata' | 'dataDir'>,
): Promise<FileStore> {
  const { rootPath } = metadataSchema.parse(context.metadata);
  // A component may be called "..", and its name becomes a folder here.
  const folder = context.name.replace(/^\.+$/, (dots) => '%2E'.repeat(dots.length));
  const root = rootPath ? resolve(rootPath) : join(context.dataDir, 'file', folder);
  await mkdir(root, { recursive: true, mode: 0o700 });
  const paths = new Paths(await realpath(root));
  const uploads = new Uploads(paths);
  await uploads.removeLeft();
  return new LocalFileStore(paths, uploads);
}

/** Files in a folder of the machine. */
export class LocalFileStore implements FileStore {
  constructor(
    private readonly paths: Paths,
    private readonly uploads: Uploads,
  ) {}

  read(name: string): Promise<FileReader> {
    return spelled(name, async () => {
      const { folder, base } = await this.paths.placeOf(name);
      const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = constants;
      // Without waiting, in case it is a pipe.
      const file = await openFile(join(folder, base), O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
      try {
        mustBeFile(await file.stat(), name);
      } catch (error) {
        await file.close();
        throw error;
      }
      return new LocalReader(file, name);
    });
  }

  write(name: string, metadata: ReadonlyMap<string, string>): Promise<FileWriter> {
    return spelled(name, async () => this.uploads.begin(name, putOptions(metadata)));
  }

  list(name: string, size: number, after: string): Promise<FilePage> {
    return spelled(name === '' ? '/' : name, async () => {
      const folder = await this.paths.folderOf(name);
      const names = new SmallestNames(size, after);
      for await (const entry of await opendir(folder, { bufferSize: ENTRIES })) {
        if (folder === this.paths.root && entry.name === UPLOADS) continue;
        if (entry.isFile()) names.add(entry.name);
        else if (entry.isDirectory()) names.add(`${entry.name}/`);
      }
      const files: FileFacts[] = [];
      const sorted = names.sorted();
      for (const entry of sorted) {
        const found = await lstat(join(folder, entry)).catch(() => undefined);
        // It has gone since its name was read.
        if (found !== undefined) files.push(factsOf(entry, found));
      }
      const last = sorted.at(-1) ?? '';
      if (files.length === 0 && names.more) return this.list(name, size, last);
      return { files, truncated: names.more };
    });
  }

  remove(name: string): Promise<void> {
    return spelled(name, async () => {
      const { folder, base } = await this.paths.placeOf(name);
      const path = join(folder, base);
      if ((await lstat(path)).isDirectory()) await rmdir(path);
      else await unlink(path);
    });
  }

  facts(name: string): Promise<FileFacts> {
    return spelled(name, async () => {
      const { folder, base } = await this.paths.placeOf(name);
      const found = await lstat(join(folder, base));
      mustBeFile(found, name);
      return factsOf(name, found);
    });
  }

  probe(): Promise<void> {
    return probeFolder(this.paths.root);
  }

  close(): Promise<void> {
    return this.uploads.close();
  }
}

class LocalReader implements FileReader {
  readonly #buffer = Buffer.allocUnsafeSlow(CHUNK);

  constructor(
    private readonly file: FileHandle,
    private readonly name: string,
  ) {}

  async read(): Promise<Uint8Array | undefined> {
    const { bytesRead } = await spelled(this.name, () => this.file.read(this.#buffer, 0, CHUNK));
    return bytesRead === 0 ? undefined : this.#buffer.subarray(0, bytesRead);
  }

  async close(): Promise<void> {
    await this.file.close();
  }
}

function factsOf(name: string, { size, mtime, mode }: Stats): FileFacts {
  return {
    name,
    size: name.endsWith('/') ? 0 : size,
    modified: mtime,
    // In decimal, as a put takes it.
    metadata: { FileMode: String(mode & 0o777) },
  };
}

function mustBeFile(found: Stats, name: string): void {
  if (found.isFile()) return;
  const what = found.isDirectory() ? 'it is a folder' : 'it is not a regular file';
  throw new FileError('invalid', `${what}: ${shownName(name)}`);
}

/** Does something with a file; the system's errors become the primitive's. */
async function spelled<Result>(name: string, perform: () => Promise<Result>): Promise<Result> {
  try {
    return await perform();
  } catch (error) {
    throw failureOf(error, name);
  }
}
