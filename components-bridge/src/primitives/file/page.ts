import { create } from '@bufbuild/protobuf';

import * as pb from '../../gen/layotto/bridge/v1/file_pb.js';
import type { FileFacts, FilePage } from './store.js';

/** Entries of a page where the caller does not say, and at most. */
export const DEFAULT_PAGE = 1_000;
export const LONGEST_PAGE = 10_000;

/** Bytes of an entry beside its texts, at most; a pair of its metadata likewise. */
const ENTRY_OVERHEAD = 32;

/** A page as a message: as much of it as fits, and the marker by which the next one begins. */
export function pageOf({ files, truncated }: FilePage, messageBytes: number): pb.ListFileResponse {
  // What stands beside the entries, the marker among it, is a name's length and little more.
  let room = messageBytes;
  let count = 0;
  for (const file of files) {
    room -= sizeOf(file);
    if (room < Buffer.byteLength(file.name) + ENTRY_OVERHEAD) break;
    count++;
  }
  const isTruncated = truncated || count < files.length;
  return create(pb.ListFileResponseSchema, {
    files: files.slice(0, count).map(({ name, size, modified, metadata }) => ({
      fileName: name,
      size: BigInt(size),
      lastModified: modified.toISOString(),
      metadata: { ...metadata },
    })),
    marker: isTruncated ? (files[count - 1]?.name ?? '') : '',
    isTruncated,
  });
}

function sizeOf({ name, metadata }: FileFacts): number {
  let size = 2 * ENTRY_OVERHEAD + Buffer.byteLength(name);
  for (const [key, value] of Object.entries(metadata))
    size += ENTRY_OVERHEAD + Buffer.byteLength(key) + Buffer.byteLength(value);
  return size;
}
