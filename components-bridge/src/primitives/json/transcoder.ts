import { fromBinary, fromJsonString, toBinary, toJsonString } from '@bufbuild/protobuf';

import { Code, OperationError, reasonOf } from '../errors.js';
import { jsonMethods } from './gen/methods.js';

/** Turns one method's messages from JSON to protobuf and back. */
export interface Transcoder {
  /** @throws OperationError INVALID_ARGUMENT that says what is wrong with the JSON */
  toMessage(json: string): Uint8Array;
  toJson(message: Uint8Array): Uint8Array;
}

/**
 * @param name such as `layotto.bridge.v1.Json/State.GetState`
 * @throws OperationError UNIMPLEMENTED if the method is not for apps
 */
export function transcoder(name: string): Transcoder {
  const method = jsonMethods.get(name);
  if (method === undefined) {
    throw new OperationError(Code.UNIMPLEMENTED, `${name} is no operation of the JSON door`);
  }
  const { input, output } = method;
  return {
    toMessage: (json) => {
      try {
        // Names that are unknown or set twice are refused.
        return toBinary(input, fromJsonString(input, json));
      } catch (error) {
        throw new OperationError(Code.INVALID_ARGUMENT, problemOf(error));
      }
    },
    toJson: (message) => Buffer.from(toJsonString(output, fromBinary(output, message)), 'utf8'),
  };
}

/** What protobuf-es says, without the package's name, which callers need not know. */
function problemOf(error: unknown): string {
  return reasonOf(error).replaceAll('layotto.bridge.v1.', '');
}
