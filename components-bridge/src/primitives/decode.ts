import { fromBinary } from '@bufbuild/protobuf';
import type { DescMessage, MessageShape } from '@bufbuild/protobuf';

import { Code, OperationError, reasonOf } from './errors.js';

/** A request's message. @throws OperationError if the bytes are none */
export function decode<Desc extends DescMessage>(schema: Desc, payload: Uint8Array): MessageShape<Desc> {
  try {
    return fromBinary(schema, payload);
  } catch (error) {
    throw new OperationError(Code.INVALID_ARGUMENT, `malformed ${schema.name}: ${reasonOf(error)}`);
  }
}
