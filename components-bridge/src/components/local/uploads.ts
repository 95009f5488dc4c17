import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { link, lstat, mkdir, open, readdir, rename, rm, unlink } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';

import { FileError } from '../../primitives/file/store.js';
import type { FileWriter } from '../../primitives/file/store.js';
import { failureOf, shownName } from './failure.js';
import { UPLOADS } from './paths.js';
import type { Paths } from './paths.js';

/** What other machines or containers began here and has not grown for so long was given up. */
const GIVEN_UP_MS = 24 * 60 * 60 * 1_000;

/** Tells this process from one before it that had the same number, as in a container that was started again. */
const PROCESS = randomBytes(6).toString('hex');
let count = 0;

/** How a put wants its file. */
export interface PutOptions {
  /** Permission bits. */
  mode: number;
  /** Fail if the file is there. */
  exclusive: boolean;
  /** Fail if the file is not there. */
  existing: boolean;
}

/** Files that are being written: in a folder of their own beside the others, until they are whole. */
export class Uploads {
  readonly #folder: string;
  /** Those that have not ended. */
  readonly #open = new Set<Upload>();

  constructor(private readonly paths: Paths) {
    this.#folder = join(paths.root, UPLOADS);
  }

  /** Removes what processes that are gone have left. */
  async removeLeft(): Promise<void> {
    const names = await readdir(this.#folder).catch(() => []);
    for (const name of names) {
      const path = join(this.#folder, name);
      if (await isLeft(name, path)) await rm(path, { force: true });
    }
  }

  async begin(name: string, options: PutOptions): Promise<FileWriter> {
    await this.#check(name, options);
    await mkdir(this.#folder, { recursive: true, mode: 0o700 });
    const path = join(this.#folder, `${encodeURIComponent(hostname())}.${process.pid}.${PROCESS}.${count++}`);
    const { O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW } = constants;
    const file = await open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600);
    const upload = new Upload(this.paths, name, options, path, file, () => this.#open.delete(upload));
    this.#open.add(upload);
    return upload;
  }

  /** Leaves nothing behind: waits for those that are ending, and gives up the others, whose commit fails then. */
  async close(): Promise<void> {
    await Promise.all([...this.#open].map((upload) => upload.discard()));
  }

  /** Finds out before the first byte what can be known by then. */
  async #check(name: string, { exclusive, existing }: PutOptions): Promise<void> {
    const place = await this.paths.check(name);
    const found =
      place === undefined
        ? undefined
        : await lstat(join(place.folder, place.base)).catch((error: NodeJS.ErrnoException) => {
            if (error.code === 'ENOENT') return undefined;
            throw error;
          });
    const shown = shownName(name);
    if (found === undefined) {
      if (existing)
        throw new FileError('not-found', `file not found: ${shown} (FileFlag has no O_CREATE in it)`);
    } else if (found.isDirectory()) throw new FileError('invalid', `it is a folder: ${shown}`);
    else if (exclusive) throw new FileError('exists', `the file is there already: ${shown}`);
  }
}

class Upload implements FileWriter {
  /** Its end, well or not, once that has begun. */
  #end: Promise<void> | undefined;

  constructor(
    private readonly paths: Paths,
    private readonly name: string,
    private readonly options: PutOptions,
    private readonly path: string,
    private readonly file: FileHandle,
    private readonly ended: () => void,
  ) {}

  async write(data: Uint8Array): Promise<void> {
    try {
      // A write to a disk that is nearly full may take a part only.
      for (let at = 0; at < data.length;) at += (await this.file.write(data, at)).bytesWritten;
    } catch (error) {
      throw failureOf(error, this.name);
    }
  }

  commit(): Promise<void> {
    this.#end = this.#commit();
    return this.#end;
  }

  /** Also after a commit that failed. */
  async discard(): Promise<void> {
    await this.#end?.catch(() => undefined);
    this.#end = this.#discard();
    await this.#end;
    this.ended();
  }

  async #commit(): Promise<void> {
    try {
      await this.file.chmod(this.options.mode);
      await this.file.sync();
      await this.file.close();
      const { folder, base } = await this.paths.placeOf(this.name, true);
      const target = join(folder, base);
      if (this.options.exclusive) {
        await link(this.path, target);
        await unlink(this.path);
      } else await rename(this.path, target);
      await syncFolder(folder);
      this.ended();
    } catch (error) {
      throw failureOf(error, this.name);
    }
  }

  async #discard(): Promise<void> {
    await this.file.close().catch(() => undefined);
    await rm(this.path, { force: true }).catch(() => undefined);
  }
}

/** Makes a name in it last. */
async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, constants.O_RDONLY);
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

async function isLeft(name: string, path: string): Promise<boolean> {
  const [, host, pid, token] = /^(.*)\.(\d+)\.([0-9a-f]+)\.\d+$/.exec(name) ?? [];
  if (host === encodeURIComponent(hostname())) {
    if (Number(pid) === process.pid) return token !== PROCESS;
    return !runs(Number(pid));
  }
  const found = await lstat(path).catch(() => undefined);
  return found !== undefined && Date.now() - found.mtimeMs > GIVEN_UP_MS;
}

function runs(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH';
  }
}
