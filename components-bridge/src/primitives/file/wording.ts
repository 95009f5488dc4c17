import type { Wording } from '../backends.js';
import { Code, OperationError } from '../errors.js';
import { FileError } from './store.js';
import type { FileFailure } from './store.js';

const CODES: Readonly<Record<FileFailure, Code>> = {
  invalid: Code.INVALID_ARGUMENT,
  'not-found': Code.NOT_FOUND,
  exists: Code.ALREADY_EXISTS,
  permission: Code.PERMISSION_DENIED,
  full: Code.RESOURCE_EXHAUSTED,
  failed: Code.INTERNAL,
};

/** How the stores' failures are told. */
export const WORDING: Wording = {
  notReady: ({ config, reason }) =>
    new OperationError(Code.UNAVAILABLE, `file store ${config.name} is not ready: ${reason}`),
  failure,
};

function failure(error: unknown): unknown {
  return error instanceof FileError ? new OperationError(CODES[error.failure], error.message) : error;
}

/** Layotto's words for a file that cannot be got; its code for all of them is INTERNAL, which says less. */
export const GET_WORDING: Wording = {
  notReady: (slot) => prefixed(WORDING.notReady(slot)),
  failure: (error) => {
    const known = failure(error);
    return known instanceof OperationError ? prefixed(known) : known;
  },
};

function prefixed({ code, message }: OperationError): OperationError {
  return new OperationError(code, `get file fail,err: ${message}`);
}
