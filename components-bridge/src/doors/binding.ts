import { fromBinary } from '@bufbuild/protobuf';

import { clip } from '../policy/clip.js';
import * as pb from '../gen/layotto/bridge/v1/binding_pb.js';
import { Code } from '../primitives/errors.js';
import { DAPR, forwarded, LAYOTTO, NOT_PROTOBUF } from './method.js';
import type { Answer, UnaryMethod } from './method.js';
import { plainly, withDetails } from './refused.js';
import type { Refuse } from './refused.js';

const BINDING = 'binding';
const DETAILS = { reason: 'ERR_INVOKE_OUTPUT_BINDING' };

/** The binding method of both APIs: its messages are the bridge's. */
export function bindingMethods(): UnaryMethod[] {
  return [
    bindingMethod(LAYOTTO, plainly, 'error when invoke output binding '),
    bindingMethod(DAPR, withDetails, 'error invoking output binding ', withMetadata),
  ];
}

/** @param failing what the text of a failure begins with */
function bindingMethod(
  service: string,
  refuse: Refuse,
  failing: string,
  answer?: (payload: Uint8Array) => Answer,
): UnaryMethod {
  const failed = (code: Code, name: string, message: string) =>
    refuse(code, `${failing}${clip(name)}: ${clip(message)}`, DETAILS);
  return forwarded({
    path: `${service}InvokeBinding`,
    primitive: BINDING,
    operation: `${pb.Binding.typeName}/InvokeBinding`,
    request: pb.InvokeBindingRequestSchema,
    malformed: refuse(Code.INVALID_ARGUMENT, NOT_PROTOBUF, DETAILS),
    component: ({ name }) => name,
    check: ({ name, operation }, behind) => {
      if (operation === '') return failed(Code.INTERNAL, name, 'operation field is missing from request');
      if (behind.find(BINDING, name) !== undefined) return undefined;
      return failed(Code.INTERNAL, name, `couldn't find output binding ${name}`);
    },
    ...(answer === undefined ? {} : { answer }),
    failed: ({ code, message }, { name }) => failed(code, name, message),
  });
}

/** Letters, digits, "-", "." and "_": more than that no metadata needs. */
const HEADER_NAME = /^[a-zA-Z0-9._-]+$/;
// eslint-disable-next-line no-control-regex -- control characters are what no header may hold
const NO_HEADER_VALUE = /[\x00-\x1f\x7f]/;

/** Sends what the backend said of its answer as headers too; what no header can hold is left out. */
function withMetadata(payload: Uint8Array): Answer {
  const { metadata } = fromBinary(pb.InvokeBindingResponseSchema, payload);
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(metadata)) {
    if (HEADER_NAME.test(name) && !NO_HEADER_VALUE.test(value))
      headers[`metadata.${name}`.toLowerCase()] = value;
  }
  return { message: payload, headers };
}
