/** Walks the project's files and tells whether they changed since a step last ran. */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The project's folder. */
export const root = fileURLToPath(new URL('../..', import.meta.url));

const IGNORED = new Set(['node_modules', 'dist', '.git', '.tools', '.layotto']);

/**
 * Files under a folder whose name `accept` takes, as sorted paths relative to the project.
 * @param {string} folder relative to the project; a folder that is not there has no files
 * @param {(name: string) => boolean} accept
 * @returns {string[]}
 */
export function filesUnder(folder, accept) {
  const full = join(root, folder);
  if (!existsSync(full)) return [];
  const found = [];
  for (const entry of readdirSync(full, { withFileTypes: true })) {
    const path = folder === '.' ? entry.name : `${folder}/${entry.name}`;
    if (entry.isDirectory()) {
      if (!IGNORED.has(entry.name)) found.push(...filesUnder(path, accept));
    } else if (accept(entry.name)) {
      found.push(path);
    }
  }
  return found.sort();
}

/** One hash over the names and contents of files; a missing file counts as empty. */
export function hashOf(files) {
  const hash = createHash('sha256');
  for (const file of files) {
    const path = join(root, file);
    hash
      .update(`${file}\0`)
      .update(existsSync(path) ? readFileSync(path) : '')
      .update('\0');
  }
  return hash.digest('hex');
}

/**
 * Runs a step unless its stamp says that it ran on the same inputs and its outputs are still there.
 * @param {{stamp: string, inputs: string[], outputs: string[], run: () => Promise<void> | void}} step paths are
 *   relative to the project
 * @returns {Promise<boolean>} whether it ran
 */
export async function unlessCurrent({ stamp, inputs, outputs, run }) {
  const path = join(root, stamp);
  const hash = hashOf(inputs);
  const current = existsSync(path) && readFileSync(path, 'utf8') === hash;
  if (current && outputs.every((file) => existsSync(join(root, file)))) return false;
  await run();
  mkdirSync(dirname(path), { recursive: true });
  writeAtomically(path, hash);
  return true;
}

/** Writes a file so that a reader at the same time sees the old or the new one, never a part. */
export function writeAtomically(path, content) {
  const temporary = `${path}.${process.pid}`;
  writeFileSync(temporary, content);
  renameSync(temporary, path);
}
