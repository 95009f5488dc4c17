import { FileError } from '../../primitives/file/store.js';
import type { PutOptions } from './uploads.js';

const DEFAULT_MODE = 0o600;

/** Go's numbers of the flags for opening a file; those that mean nothing to a whole new file are left alone. */
const O_CREATE = 0x40;
const O_EXCL = 0x80;
const O_APPEND = 0x400;

/**
 * Layotto's settings of a put: `FileMode`, permission bits in decimal, or in octal with a zero in front; and `FileFlag`,
 * Go's flags for opening a file as a number. Layotto wants both; here a put without them makes or replaces the file.
 *
 * @throws FileError if one cannot be read, or wants what a put does not do
 */
export function putOptions(metadata: ReadonlyMap<string, string>): PutOptions {
  const mode = valueOf(metadata, 'FileMode');
  const flags = flagsOf(valueOf(metadata, 'FileFlag'));
  return {
    mode: modeOf(mode),
    exclusive: flags !== undefined && (flags & O_CREATE) !== 0 && (flags & O_EXCL) !== 0,
    existing: flags !== undefined && (flags & O_CREATE) === 0,
  };
}

function modeOf(text: string): number {
  if (text === '') return DEFAULT_MODE;
  const octal = /^0o?([0-7]{1,4})$/.exec(text)?.[1];
  const mode = octal !== undefined ? parseInt(octal, 8) : /^[1-9]\d{0,8}$/.test(text) ? Number(text) : NaN;
  if (mode >= 0 && mode <= 0o777) return mode;
  const found = JSON.stringify(text.slice(0, 40));
  throw new FileError(
    'invalid',
    `FileMode: expected permission bits, in octal such as 0644 or in decimal up to 511, found ${found}`,
  );
}

function flagsOf(text: string): number | undefined {
  if (text === '') return undefined;
  if (!/^\d{1,9}$/.test(text)) {
    const found = JSON.stringify(text.slice(0, 40));
    throw new FileError(
      'invalid',
      `FileFlag: expected Go's flags for opening a file as a number, found ${found}`,
    );
  }
  const flags = Number(text);
  if ((flags & O_APPEND) !== 0)
    throw new FileError('invalid', 'FileFlag: O_APPEND is not served; a put always replaces the whole file');
  return flags;
}

/** Metadata keys are the same whatever their case. */
function valueOf(metadata: ReadonlyMap<string, string>, name: string): string {
  for (const [key, value] of metadata) if (key.toLowerCase() === name.toLowerCase()) return value;
  return '';
}
