import { createHash } from 'node:crypto';

import { gzipSync } from 'fflate';
import { pack } from 'tar-stream';

/** What a layer puts at a path. Owner and group are 0, and every time is 1970, so that only contents count. */
export type Entry =
  | { path: string; content: Uint8Array; executable?: boolean }
  | { path: string; link: string }
  | { path: string; folder: true; mode?: number; owner?: number };

/** A layer of an image, compressed. */
export interface Layer {
  blob: Uint8Array;
  /** SHA-256 of the archive before compression, as `sha256:…`. */
  diffId: string;
}

const EPOCH = new Date(0);

/** The digest of some bytes, as OCI writes it. */
export function digestOf(bytes: Uint8Array): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}

/**
 * A layer of files: the folders above them are added, all is in the order of the paths.
 *
 * Compressed by a library of the lock file and not by zlib, whose output changes with the version that Node carries.
 */
export async function layerOf(entries: readonly Entry[]): Promise<Layer> {
  const archive = await archiveOf(entries);
  return { blob: gzipSync(archive, { level: 6, mtime: 0 }), diffId: digestOf(archive) };
}

async function archiveOf(entries: readonly Entry[]): Promise<Buffer> {
  const all = new Map<string, Entry>();
  for (const entry of entries) {
    const parts = entry.path.split('/');
    for (let depth = 1; depth < parts.length; depth++) {
      const path = parts.slice(0, depth).join('/');
      if (!all.has(path)) all.set(path, { path, folder: true });
    }
    all.set(entry.path, entry);
  }
  const tar = pack();
  const chunks: Buffer[] = [];
  const read = (async () => {
    for await (const chunk of tar) chunks.push(chunk as Buffer);
  })();
  for (const path of [...all.keys()].sort()) put(tar, all.get(path) as Entry);
  tar.finalize();
  await read;
  return Buffer.concat(chunks);
}

function put(tar: ReturnType<typeof pack>, entry: Entry): void {
  const common = { uid: 0, gid: 0, mtime: EPOCH };
  if ('folder' in entry) {
    const owner = entry.owner ?? 0;
    const mode = entry.mode ?? 0o755;
    tar.entry({ ...common, uid: owner, gid: owner, name: `${entry.path}/`, type: 'directory', mode });
  } else if ('link' in entry) {
    tar.entry({ ...common, name: entry.path, type: 'symlink', mode: 0o777, linkname: entry.link });
  } else {
    const mode = entry.executable === true ? 0o755 : 0o644;
    tar.entry({ ...common, name: entry.path, mode }, Buffer.from(entry.content));
  }
}
