import { mkdir, realpath } from 'node:fs/promises';
import { join, sep } from 'node:path';

import { FileError } from '../../primitives/file/store.js';
import { shownName } from './failure.js';

/** The folder of unfinished uploads, in the root; no name leads into it. */
export const UPLOADS = '.layotto-uploads';

/** What file systems take: bytes of a name between two slashes, and of all. */
const LONGEST_SEGMENT = 255;
const LONGEST_NAME = 4_096 - 512;

/** A name's parts. @throws FileError if it is none, or leads out of the root */
export function segmentsOf(name: string): string[] {
  const wrong = (why: string): FileError =>
    new FileError('invalid', `invalid file name ${shownName(name)}: ${why}`);
  if (name === '') throw new FileError('invalid', 'invalid file name: it is empty');
  if (name.includes('\0')) throw wrong('it has a NUL in it');
  if (name.startsWith('/')) throw wrong("it begins with a slash; names count from the store's folder");
  if (Buffer.byteLength(name) > LONGEST_NAME) throw wrong(`it is longer than ${LONGEST_NAME} bytes`);
  const segments = name.split('/');
  for (const segment of segments) {
    if (segment === '.' || segment === '..') throw wrong(`it has a part ${segment}`);
    if (segment === '') throw wrong('a part of it is empty');
    if (Buffer.byteLength(segment) > LONGEST_SEGMENT)
      throw wrong(`a part of it is longer than ${LONGEST_SEGMENT} bytes`);
  }
  if (segments[0] === UPLOADS) throw wrong(`${UPLOADS} is where unfinished uploads are`);
  return segments;
}

/** The parts of a folder's name; none for the root, whose name is empty. A slash at the end does not count. */
export function folderSegmentsOf(name: string): string[] {
  const folder = name.endsWith('/') ? name.slice(0, -1) : name;
  return folder === '' && name !== '/' ? [] : segmentsOf(folder);
}

/** The folder that a file is in, and the file's own name there. */
export interface Place {
  folder: string;
  base: string;
}

/** Names below a folder, as paths. Symbolic links are followed as long as they stay in it. */
export class Paths {
  /** @param root without links on the way to it */
  constructor(readonly root: string) {}

  /**
   * Where a file is.
   *
   * @param make make the folders that are not there
   * @throws FileError if the name is wrong; the system's error if a folder is not there
   */
  async placeOf(name: string, make = false): Promise<Place> {
    const segments = segmentsOf(name);
    const base = segments.pop() as string;
    return { folder: await this.#walk(segments, name, make), base };
  }

  /** A folder; `placeOf` says what it throws. */
  async folderOf(name: string): Promise<string> {
    return this.#walk(folderSegmentsOf(name), name, false);
  }

  /** Checks what there is of a file's folders. @throws as `placeOf` does, but not for a folder that is not there */
  async check(name: string): Promise<Place | undefined> {
    try {
      return await this.placeOf(name);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw error;
    }
  }

  /** Step by step: a folder must not be made behind a link that leads elsewhere. */
  async #walk(segments: readonly string[], name: string, make: boolean): Promise<string> {
    let folder = this.root;
    for (const segment of segments) {
      const next = join(folder, segment);
      folder = await realpath(next).catch(async (error: NodeJS.ErrnoException) => {
        if (!make || error.code !== 'ENOENT') throw error;
        await mkdir(next, { recursive: true, mode: 0o700 });
        return realpath(next);
      });
      if (folder !== this.root && !folder.startsWith(`${this.root}${sep}`)) {
        throw new FileError(
          'invalid',
          `invalid file name ${shownName(name)}: a link on the way leads out of the store's folder`,
        );
      }
    }
    return folder;
  }
}
