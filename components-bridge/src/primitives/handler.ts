import type { Call } from './call.js';
import type { StreamHandler } from './stream.js';

/**
 * Performs one method of a primitive.
 *
 * @param payload the request message as protobuf. It is only valid until the handler returns its promise; what is
 *   needed longer must have been decoded by then (decoded bytes fields share its memory, and that memory is not
 *   reused, so they may be kept).
 * @param call what is known of the call; it is handed on to whatever asks a backend
 * @returns the response message as protobuf
 * @throws OperationError for a failure that the caller can understand; anything else counts as INTERNAL
 */
export type Handler = (payload: Uint8Array, call: Call) => Promise<Uint8Array>;

/** One primitive's methods. */
export interface Service {
  /** Full protobuf name, such as `layotto.bridge.v1.State`. */
  readonly name: string;
  /** Handlers by full method name, such as `layotto.bridge.v1.State/GetState`. */
  readonly handlers: ReadonlyMap<string, Handler>;
  /**
   * Handlers of its streaming methods, by path as callers know them, such as `/spec.proto.runtime.v1.Runtime/GetFile`:
   * these pass Envoy as they are. Envoy has a route for each path, see `STREAM_PATHS` in envoy/names.ts.
   */
  readonly streams?: ReadonlyMap<string, StreamHandler>;
}
