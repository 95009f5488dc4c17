import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** A reader of OCI image layouts that shares no code with what writes them. */

export interface Descriptor {
  mediaType: string;
  digest: string;
  size: number;
  annotations?: Record<string, string>;
}

export interface Manifest {
  mediaType: string;
  config: Descriptor;
  layers: Descriptor[];
  annotations: Record<string, string>;
}

export interface ImageConfig {
  created: string;
  architecture: string;
  os: string;
  config: {
    User?: string;
    Env?: string[];
    Entrypoint?: string[];
    Cmd?: string[];
    WorkingDir?: string;
    Labels: Record<string, string>;
  };
  rootfs: { diff_ids: string[] };
}

export function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** A blob of a layout. @throws Error if it is not what its descriptor says */
export function blob(layout: string, { digest, size }: Descriptor): Buffer {
  const bytes = readFileSync(join(layout, 'blobs/sha256', digest.slice('sha256:'.length)));
  if (`sha256:${sha256(bytes)}` !== digest) throw new Error(`${digest} holds something else`);
  if (bytes.length !== size) throw new Error(`${digest} has ${bytes.length} bytes, not ${size}`);
  return bytes;
}

/** The one image of a layout. */
export function read(layout: string): { descriptor: Descriptor; manifest: Manifest } {
  const index = JSON.parse(readFileSync(join(layout, 'index.json'), 'utf8')) as { manifests: Descriptor[] };
  const [descriptor] = index.manifests;
  if (descriptor === undefined || index.manifests.length !== 1)
    throw new Error(`${layout} has not one image`);
  return { descriptor, manifest: JSON.parse(blob(layout, descriptor).toString()) as Manifest };
}

/** Unpacks an image's layers over each other, by the system's tar. */
export function unpack(layout: string, folder: string): void {
  mkdirSync(folder, { recursive: true });
  for (const layer of read(layout).manifest.layers) {
    execFileSync('tar', ['-xzpf', '-', '-C', folder], { input: blob(layout, layer) });
  }
}
