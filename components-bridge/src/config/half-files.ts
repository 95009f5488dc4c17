import { readFileSync, statSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';

/** The bridge half in the folder of a primitive of one's own, if it is no process. */
export const HALF = 'index.mjs';

/** Files of one half that are looked at. More of them run, but edits are not noticed. */
const MOST_FILES = 256;

/**
 * A path that something is imported from, or what looks like it in a comment: a file too many is only looked at in vain.
 * Packages are not edited where they are installed, so only paths count.
 */
const IMPORTED = /\b(from|import|require)\s*\(?\s*(['"])(\.{0,2}\/[^'"\n]+)\2/g;

/** What `require` tries behind a path at which there is no file. */
const ENDINGS = ['.js', '.json', '/index.js'];

/** A file of a half, and what it holds; undefined if it cannot be read. */
export interface HalfFile {
  path: string;
  content: Buffer | undefined;
}

/** The half in a folder, and all files that it imports or requires by a path, each once; the half comes first. */
export function halfFiles(folder: string): HalfFile[] {
  const paths = [join(folder, HALF)];
  const files: HalfFile[] = [];
  for (const path of paths) {
    const content = contentOf(path);
    files.push({ path, content });
    for (const [, how, , target = ''] of content?.toString('latin1').matchAll(IMPORTED) ?? []) {
      const named = resolve(
        dirname(path),
        Buffer.from(target, 'latin1')
          .toString()
          .replace(/[?#].*$/, ''),
      );
      const imported = how === 'require' ? required(named) : named;
      if (paths.length < MOST_FILES && !paths.includes(imported)) paths.push(imported);
    }
  }
  return files;
}

function required(path: string): string {
  return [path, ...ENDINGS.map((ending) => path + ending)].find(isFile) ?? path;
}

function isFile(path: string): boolean {
  try {
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

function contentOf(path: string): Buffer | undefined {
  try {
    return readFileSync(path);
  } catch {
    return undefined;
  }
}
