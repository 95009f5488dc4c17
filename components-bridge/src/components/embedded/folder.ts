import { mkdir, open as openFile } from 'node:fs/promises';
import { endianness } from 'node:os';
import { join, resolve } from 'node:path';

import type { ComponentContext } from '../../primitives/component.js';

/** lmdb's file in a store's folder. */
export const DATA_FILE = 'data.mdb';

/** lmdb's magic number, at byte 24 of its files. */
const MAGIC = 0xbeefc0de;

/**
 * The folder of a component's store, made if it is not there.
 *
 * @param primitive the folder in the data folder that holds those of its primitive
 * @param path where it is wanted instead
 * @throws Error if something else stands there
 */
export async function storeFolder(
  { name, dataDir }: Pick<ComponentContext, 'name' | 'dataDir'>,
  primitive: string,
  path: string | undefined,
): Promise<string> {
  // A component may be called "..", and its name becomes a folder here.
  const folder = name.replace(/^\.+$/, (dots) => '%2E'.repeat(dots.length));
  const dir = path === undefined ? join(dataDir, primitive, folder) : resolve(path);
  await mkdir(dir, { recursive: true, mode: 0o700 });
  await checkFile(join(dir, DATA_FILE));
  return dir;
}

/** @throws Error if the file is there and is not lmdb's: lmdb itself would crash the process over it */
async function checkFile(path: string): Promise<void> {
  const file = await openFile(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  if (file === undefined) return;
  try {
    const head = Buffer.alloc(28);
    const { bytesRead } = await file.read(head, 0, head.length, 0);
    if (bytesRead === 0) return;
    const magic = endianness() === 'LE' ? head.readUInt32LE(24) : head.readUInt32BE(24);
    if (bytesRead < head.length || magic !== MAGIC) {
      throw new Error(`${path} is not a store of this runtime; move it away, or set another path`);
    }
  } finally {
    await file.close();
  }
}
