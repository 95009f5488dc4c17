import { closeSync, fstatSync, openSync, readSync, statSync } from 'node:fs';

import { UserError, messageOf } from './errors.js';

/** Bytes read from the end of a log to show its last lines. */
const TAIL_BYTES = 16 * 1024;

/**
 * Opens a log that a process started by us writes to.
 *
 * @param append keep what an earlier process of the same run wrote; else it starts empty
 * @returns its descriptor, to be closed by the caller
 */
export function openLog(file: string, append = false): number {
  try {
    if (!append) closeSync(openSync(file, 'w', 0o600));
    // Two processes write to it while one takes over from the other: each behind what is there.
    return openSync(file, 'a', 0o600);
  } catch (error) {
    throw new UserError(`cannot write ${file}: ${messageOf(error)}`);
  }
}

/** How long a log is; 0 if there is none. */
export function logSize(file: string): number {
  return statSync(file, { throwIfNoEntry: false })?.size ?? 0;
}

/** The first lines that a log got after it was `from` bytes long, without empty ones. */
export function linesFrom(file: string, from: number): string[] {
  const fd = openSync(file, 'r');
  try {
    const bytes = Buffer.alloc(TAIL_BYTES);
    const read = readSync(fd, bytes, 0, bytes.length, from);
    return bytes
      .toString('utf8', 0, read)
      .split('\n')
      .filter((line) => line.trim() !== '');
  } finally {
    closeSync(fd);
  }
}

/** The last lines of a log, without empty ones; empty if there is no log. */
export function lastLines(file: string, count = 10): string[] {
  let fd;
  try {
    fd = openSync(file, 'r');
  } catch {
    return [];
  }
  try {
    const { size } = fstatSync(fd);
    const bytes = Buffer.alloc(Math.min(size, TAIL_BYTES));
    const read = readSync(fd, bytes, 0, bytes.length, size - bytes.length);
    const lines = bytes.toString('utf8', 0, read).split('\n');
    return lines.filter((line) => line.trim() !== '').slice(-count);
  } finally {
    closeSync(fd);
  }
}
