import { fromBinary, fromJson, toBinary, toJson } from '@bufbuild/protobuf';
import type { DescMessage, DescMethodUnary, JsonValue, Message } from '@bufbuild/protobuf';

import { Code, OperationError, reasonOf } from '../primitives/errors.js';
import type { Handler } from '../primitives/handler.js';

/** Taken out of what callers are told: to them it is noise. */
const PACKAGE = /\blayotto\.bridge\.v1\./g;

const decoder = new TextDecoder('utf-8', { fatal: true });
const encoder = new TextEncoder();

/** Performs a method whose request and response are JSON, by its handler. */
export function jsonHandler(method: DescMethodUnary, handler: Handler): Handler {
  return async (payload, call) => {
    const request = toBinary(method.input, read(method.input, payload));
    const response = fromBinary(method.output, await handler(request, call));
    // Every field is there, so that nobody has to know which values go without saying.
    return encoder.encode(JSON.stringify(toJson(method.output, response, { alwaysEmitImplicit: true })));
  };
}

/** @throws OperationError that says what is wrong, and where */
function read(schema: DescMessage, payload: Uint8Array): Message {
  let json: JsonValue;
  try {
    json = JSON.parse(decoder.decode(payload)) as JsonValue;
  } catch (error) {
    throw new OperationError(Code.INVALID_ARGUMENT, `expected UTF-8 JSON: ${reasonOf(error)}`);
  }
  try {
    return fromJson(schema, json);
  } catch (error) {
    const reason = reasonOf(error).replace(PACKAGE, '');
    const hint = reason.endsWith('is unknown') ? `; known: ${fieldsOf(schema, reason)}` : '';
    throw new OperationError(Code.INVALID_ARGUMENT, `${reason}${hint}`);
  }
}

/** The fields of the message that an error names, which is the request or one within it. */
function fieldsOf(schema: DescMessage, reason: string): string {
  const [, name = ''] = /^cannot decode message (\S+) from JSON/.exec(reason) ?? [];
  const pending = [schema];
  const seen = new Set<DescMessage>();
  for (let message = pending.pop(); message !== undefined; message = pending.pop()) {
    if (seen.has(message)) continue;
    seen.add(message);
    if (message.typeName.endsWith(`.${name}`))
      return message.fields.map((field) => field.jsonName).join(', ') || 'none';
    pending.push(...message.fields.flatMap((field) => (field.message === undefined ? [] : [field.message])));
  }
  return 'see GET /v1.0-layotto/openapi.json';
}
