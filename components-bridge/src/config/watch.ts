import { readdir, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';

/** How often files are looked at. */
const EVERY_MS = 500;

/** Where a configuration comes from. */
export interface ConfigSources {
  file?: string | undefined;
  resourcesPath?: string | readonly string[] | undefined;
}

/**
 * Tells when the files of a configuration have changed, and stayed as they are for one look: an editor that writes
 * another file and renames it, or writes in several steps, has finished by then. It looks at names, sizes and times
 * and does not ask the kernel to be told, which fails on network and container file systems, misses links that a
 * volume swaps, and is bounded in number.
 *
 * @returns stops it
 */
export function watchConfig(sources: ConfigSources, onChange: () => void, everyMs = EVERY_MS): () => void {
  return watchSignature(() => signature(sources), onChange, everyMs);
}

/**
 * The same for whatever has a signature.
 *
 * @param signatureOf makes a text that changes whenever what is watched does
 */
export function watchSignature(
  signatureOf: () => Promise<string>,
  onChange: () => void,
  everyMs = EVERY_MS,
): () => void {
  let stopped = false;
  let timer: NodeJS.Timeout | undefined;
  let known: string | undefined;
  let last: string | undefined;

  const look = async (): Promise<void> => {
    const seen = await signatureOf();
    if (stopped) return;
    known ??= seen;
    if (seen !== known && seen === last) {
      known = seen;
      onChange();
    }
    last = seen;
    timer = setTimeout(() => void look(), everyMs);
    timer.unref();
  };
  void look();
  return () => {
    stopped = true;
    clearTimeout(timer);
  };
}

/** Changes whenever something that a configuration is read from does. */
export async function signature({ file, resourcesPath }: ConfigSources): Promise<string> {
  const parts: string[] = [];
  if (file !== undefined) parts.push(await fileSignature(resolve(file)));
  for (const folder of [resourcesPath ?? []].flat()) {
    const path = resolve(folder);
    const names = await readdir(path).catch(() => undefined);
    // One file may stand in the place of a folder.
    const read = names?.filter((name) => /\.ya?ml$/i.test(name)).map((name) => join(path, name));
    parts.push(...(await Promise.all((read?.sort() ?? [path]).map(fileSignature))));
  }
  return parts.join('\n');
}

/** Changes whenever a file does. */
export async function fileSignature(path: string): Promise<string> {
  try {
    const { dev, ino, size, mtimeMs, ctimeMs } = await stat(path);
    return [path, dev, ino, size, mtimeMs, ctimeMs].join(' ');
  } catch {
    return `${path} cannot be read`;
  }
}
