import { reasonOf } from '../../primitives/errors.js';
import { FileError } from '../../primitives/file/store.js';
import type { FileFailure } from '../../primitives/file/store.js';

/** What the system's errors mean to whoever asked for a file, and how they are said. */
const MEANINGS: Readonly<Record<string, readonly [FileFailure, string]>> = {
  ENOENT: ['not-found', 'file not found'],
  ENOTDIR: ['not-found', 'a part of the name is a file, not a folder'],
  EEXIST: ['exists', 'the file is there already'],
  EISDIR: ['invalid', 'it is a folder'],
  ENOTEMPTY: ['invalid', 'the folder is not empty'],
  ELOOP: ['invalid', 'it is a symbolic link'],
  ENAMETOOLONG: ['invalid', 'the name is too long'],
  EACCES: ['permission', 'permission denied'],
  EPERM: ['permission', 'operation not permitted'],
  EROFS: ['permission', 'the file system is read-only'],
  ENOSPC: ['full', 'no space is left on the device'],
  EDQUOT: ['full', 'the disk quota is used up'],
  EFBIG: ['full', 'the file is larger than the file system allows'],
};

/** What went wrong with a file. @param name as the caller wrote it */
export function failureOf(error: unknown, name: string): FileError {
  if (error instanceof FileError) return error;
  const shown = shownName(name);
  const meaning = MEANINGS[(error as NodeJS.ErrnoException).code ?? ''];
  if (meaning !== undefined) return new FileError(meaning[0], `${meaning[1]}: ${shown}`, { cause: error });
  return new FileError('failed', `${shown}: ${reasonOf(error)}`, { cause: error });
}

/** A name as it stands in messages: short, and with nothing in it that a header or a terminal trips over. */
export function shownName(name: string): string {
  const short = name.length > 200 ? `${name.slice(0, 200)}…` : name;
  // eslint-disable-next-line no-control-regex -- control characters are what it looks for
  return /[\x00-\x1f\x7f]/.test(short) ? JSON.stringify(short) : short;
}
