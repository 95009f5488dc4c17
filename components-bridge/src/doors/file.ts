import type { DescMessage } from '@bufbuild/protobuf';

import { clip } from '../policy/clip.js';
import * as pb from '../gen/layotto/bridge/v1/file_pb.js';
import { Code } from '../primitives/errors.js';
import { forwarded, LAYOTTO, NOT_PROTOBUF } from './method.js';
import type { Method, UnaryMethod } from './method.js';
import type { Refused } from './refused.js';

const FILE = 'file';

/** As long as Envoy waits for the next message of an upload. */
const UPLOAD_IDLE_MS = 300_000;

/** Layotto's file methods; Dapr has none. */
export function fileMethods(): Method[] {
  const unserved = refused('no file store is configured; add a component of a type that starts with file.');
  const stream = { kind: 'stream', primitive: FILE, unserved } as const;
  return [
    { ...stream, path: `${LAYOTTO}GetFile` },
    { ...stream, path: `${LAYOTTO}PutFile`, idleMs: UPLOAD_IDLE_MS },
    fileMethod('ListFile', pb.ListFileRequestSchema),
    fileMethod('DelFile', pb.DelFileRequestSchema),
    fileMethod('GetFileMeta', pb.GetFileMetaRequestSchema),
  ];
}

function fileMethod(name: string, request: DescMessage): UnaryMethod {
  const of = (asked: unknown) => (asked as { request?: pb.FileRequest }).request;
  return forwarded({
    path: LAYOTTO + name,
    primitive: FILE,
    operation: `${pb.File.typeName}/${name}`,
    request,
    malformed: refused(NOT_PROTOBUF),
    component: (asked) => of(asked)?.storeName,
    check: (asked, behind) => {
      const file = of(asked);
      if (file === undefined) return refused("request can't be nil");
      if (behind.find(FILE, file.storeName) !== undefined) return undefined;
      return refused(`not support store type: ${clip(file.storeName)}`);
    },
    failed: ({ code, message }) => ({ code, message: clip(message) }),
  });
}

function refused(message: string): Refused {
  return { code: Code.INVALID_ARGUMENT, message };
}
