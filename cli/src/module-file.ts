import { createHash } from 'node:crypto';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { gunzipSync } from 'node:zlib';

import { MOST_MODULE_BYTES, ModuleError, readModule } from '../../envoy/module-info.js';
import type { ModuleInfo } from '../../envoy/module-info.js';
import { UserError, messageOf } from './errors.js';
import { untar } from './tar.js';

/** The layer of an image that is the module itself, and those that are an archive with the module in it. */
const MODULE_LAYER = 'application/vnd.module.wasm.content.layer.v1+wasm';
const ARCHIVE_LAYER = /^application\/vnd\.(oci\.image\.layer\.v1\.tar|docker\.image\.rootfs\.diff\.tar)/;
const IN_ARCHIVE = 'plugin.wasm';

/** A module that was read. */
export interface ModuleFile {
  wasm: Uint8Array;
  info: ModuleInfo;
}

/**
 * Reads a module from a file, or from a folder in OCI layout with an image of it, in either of the forms that Istio
 * takes.
 *
 * @param option that the path was given with, for the error
 * @throws UserError naming the option, the file and what is wrong
 */
export function readModuleFile(path: string, option?: string): ModuleFile {
  const given = option === undefined ? path : `--${option} ${path}`;
  try {
    const wasm = statSync(path).isDirectory() ? fromLayout(path) : readBounded(path);
    return { wasm, info: readModule(wasm) };
  } catch (error) {
    throw new UserError(`${given}: ${error instanceof ModuleError ? error.message : unread(path, error)}`);
  }
}

/** Why a path cannot be read. */
function unread(path: string, error: unknown): string {
  switch ((error as NodeJS.ErrnoException).code) {
    case 'ENOENT':
      return `no such file${missingFolder(dirname(path))}`;
    case 'ENOTDIR':
      return 'a part of this path is a file, not a folder';
    case 'EACCES':
      return 'it may not be read; check its owner and mode, and those of the folders above it';
    default:
      return messageOf(error);
  }
}

/** The uppermost folder that is missing. */
function missingFolder(folder: string): string {
  if (existsSync(folder)) return '';
  return missingFolder(dirname(folder)) || `, for there is no folder ${folder}`;
}

function readBounded(path: string): Uint8Array {
  const { size } = statSync(path);
  if (size > MOST_MODULE_BYTES)
    throw new ModuleError(`it has ${size} bytes; the largest module has ${MOST_MODULE_BYTES}`);
  return readFileSync(path);
}

interface Descriptor {
  mediaType?: unknown;
  digest?: unknown;
}

function fromLayout(folder: string): Uint8Array {
  const index = json(readFile(folder, 'index.json'), 'index.json') as { manifests?: Descriptor[] };
  const [manifest] = list(index.manifests);
  if (manifest === undefined) throw new ModuleError('its index.json names no image');
  const { layers } = json(blob(folder, manifest), 'its manifest') as { layers?: Descriptor[] };
  for (const layer of list(layers)) {
    const type = String(layer.mediaType);
    if (type === MODULE_LAYER) return blob(folder, layer);
    if (!ARCHIVE_LAYER.test(type)) continue;
    const packed = blob(folder, layer);
    const archive = type.endsWith('gzip')
      ? gunzipSync(packed, { maxOutputLength: MOST_MODULE_BYTES })
      : packed;
    const found = untar(archive).get(IN_ARCHIVE);
    if (found !== undefined) return found;
  }
  throw new ModuleError(
    `its image has no layer with a module (${MODULE_LAYER}, or an archive with ${IN_ARCHIVE})`,
  );
}

function list(descriptors: Descriptor[] | undefined): Descriptor[] {
  return Array.isArray(descriptors) ? descriptors : [];
}

function readFile(folder: string, name: string): Uint8Array {
  const path = join(folder, name);
  try {
    return readBounded(path);
  } catch (error) {
    if (error instanceof ModuleError) throw error;
    throw new ModuleError(
      `it is a folder, and no whole OCI layout: ${name}: ${unread(path, error)}; give a module's file, or such a folder as 'make oci' makes`,
    );
  }
}

/** A blob, whose content must be what its digest says. */
function blob(folder: string, { digest }: Descriptor): Uint8Array {
  const hex = /^sha256:([0-9a-f]{64})$/.exec(String(digest))?.[1];
  if (hex === undefined)
    throw new ModuleError(`it has a descriptor without a SHA-256 digest: ${String(digest)}`);
  const content = readFile(folder, `blobs/sha256/${hex}`);
  if (createHash('sha256').update(content).digest('hex') !== hex)
    throw new ModuleError(`its blob ${hex} is damaged: the content has another checksum`);
  return content;
}

function json(content: Uint8Array, what: string): unknown {
  try {
    const value: unknown = JSON.parse(Buffer.from(content).toString('utf8'));
    if (typeof value === 'object' && value !== null) return value;
  } catch {
    // Said below.
  }
  throw new ModuleError(`${what} is no JSON object`);
}
