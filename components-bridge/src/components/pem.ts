import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';

import { reasonOf } from '../primitives/errors.js';

/**
 * PEM text as it is, also with `\n` for its line ends as in environment variables; else what the file holds.
 *
 * @throws Error naming the metadata key of a file that cannot be read
 */
export async function pemOf(key: string, value: string | undefined): Promise<string | undefined> {
  if (!value) return undefined;
  if (value.includes('-----BEGIN')) return value.replaceAll('\\n', '\n');
  try {
    return await readFile(resolve(value), 'utf8');
  } catch (error) {
    throw new Error(`${key}: expected PEM text or a file that can be read: ${reasonOf(error)}`, {
      cause: error,
    });
  }
}
