// The file primitive: everything a module needs to serve it. Only Layotto's
// API has it.

import { Code } from '../../dialects/codes';
import { Handler } from '../../dialects/handler';
import { Router } from '../../dialects/router';
import { DelFile, GetFileMeta, ListFile } from './layotto-grpc';

const SERVICE = '/spec.proto.runtime.v1.Runtime/';
const NO_STORE = 'no file store is configured; add a component of a type that starts with file.';

/** Enters Layotto's file methods; what is in files passes to the bridge and back as a stream. */
export function installFile(router: Router): void {
  router.stream('file', 'GetFile', SERVICE + 'GetFile', Code.INVALID_ARGUMENT, NO_STORE);
  router.stream('file', 'PutFile', SERVICE + 'PutFile', Code.INVALID_ARGUMENT, NO_STORE);
  router.grpc('file', 'ListFile', SERVICE + 'ListFile', (): Handler => new ListFile());
  router.grpc('file', 'DelFile', SERVICE + 'DelFile', (): Handler => new DelFile());
  router.grpc('file', 'GetFileMeta', SERVICE + 'GetFileMeta', (): Handler => new GetFileMeta());
}
