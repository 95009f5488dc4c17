import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { digestOf } from './layer.js';

export const MANIFEST = 'application/vnd.oci.image.manifest.v1+json';
export const IMAGE_CONFIG = 'application/vnd.oci.image.config.v1+json';
export const LAYER = 'application/vnd.oci.image.layer.v1.tar+gzip';
export const LAYER_PLAIN = 'application/vnd.oci.image.layer.v1.tar';
export const INDEX = 'application/vnd.oci.image.index.v1+json';

export type Annotations = Readonly<Record<string, string>>;

export interface Platform {
  architecture: string;
  os: string;
}

export interface Descriptor {
  mediaType: string;
  digest: string;
  size: number;
  annotations?: Annotations;
  platform?: Platform;
}

/** A part of an image: its bytes and what they are. */
export interface Blob {
  mediaType: string;
  bytes: Uint8Array;
  annotations?: Annotations;
}

export interface Image {
  config: Blob;
  layers: readonly Blob[];
  annotations: Annotations;
  /** Of the manifest's descriptor; an artifact that is the same everywhere has none. */
  platform?: Platform;
}

/** JSON as a blob: always the same bytes for the same value. */
export function json(mediaType: string, value: unknown): Blob {
  return { mediaType, bytes: Buffer.from(JSON.stringify(value)) };
}

/**
 * Writes one image as an OCI image layout (image-spec, image-layout.md) in place of what the folder held.
 *
 * @param tag what tools call the image: the annotation `org.opencontainers.image.ref.name`
 * @returns the manifest's digest, as `sha256:…`
 */
export function writeLayout(folder: string, image: Image, tag: string): string {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(join(folder, 'blobs/sha256'), { recursive: true });
  const store = ({ mediaType, bytes, annotations }: Blob): Descriptor => {
    const digest = digestOf(bytes);
    writeFileSync(blobFile(folder, digest), bytes);
    return { mediaType, digest, size: bytes.length, ...(annotations && { annotations }) };
  };
  const manifest = store(
    json(MANIFEST, {
      schemaVersion: 2,
      mediaType: MANIFEST,
      config: store(image.config),
      layers: image.layers.map(store),
      annotations: image.annotations,
    }),
  );
  const listed: Descriptor = {
    ...manifest,
    annotations: { 'org.opencontainers.image.ref.name': tag },
    ...(image.platform && { platform: image.platform }),
  };
  const index = { schemaVersion: 2, mediaType: INDEX, manifests: [listed] };
  writeFileSync(join(folder, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}');
  writeFileSync(join(folder, 'index.json'), JSON.stringify(index));
  return manifest.digest;
}

/** Where a layout keeps the bytes of a digest. */
export function blobFile(folder: string, digest: string): string {
  return join(folder, 'blobs', digest.replace(':', '/'));
}
