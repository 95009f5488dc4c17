import type { EnvoyObject } from './names.js';

/**
 * What makes a reply of Envoy's own the error that Dapr answers where an invocation failed (reference: Dapr HTTP API,
 * service invocation): fields of a mapper of local replies.
 *
 * @param callee who was called, as Envoy's format strings have it
 */
export function failureReply(callee: string): EnvoyObject {
  return {
    status_code: 500,
    body_format_override: {
      json_format: {
        errorCode: 'ERR_DIRECT_INVOKE',
        message: `failed to invoke, id: ${callee}, err: %LOCAL_REPLY_BODY%`,
      },
    },
  };
}
