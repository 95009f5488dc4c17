// What a filter does with the stream that is the effective context: read and
// change bodies, and answer it.

import {
  proxy_continue_stream,
  proxy_get_buffer_bytes,
  proxy_send_local_response,
  proxy_set_buffer_bytes,
} from './abi';
import { Bytes, bytesLength, bytesPtr } from './bytes';
import { Buffer } from './enums';
import { HeaderList } from './headers';
import { allocate, OUT, received, release } from './memory';
import { Status } from './status';

/** No gRPC status: the reply is plain HTTP. */
export const GRPC_STATUS_NONE: i32 = -1;

/**
 * Copies a buffer into the module (`release` gives it back); no bytes on failure or when it is empty.
 *
 * @param length bytes wanted; the host gives at most what it has
 */
export function getBuffer(type: Buffer, start: u32, length: u32): Bytes {
  if (length == 0) return 0;
  store<u64>(OUT, 0);
  return proxy_get_buffer_bytes(type, start, length, OUT, OUT + 4) == Status.Ok ? received() : 0;
}

/**
 * Lets a direction of the stream go on that a callback has paused.
 *
 * @param response the response's direction; else the request's
 */
export function resume(response: bool = false): Status {
  return <Status>proxy_continue_stream(response ? 1 : 0);
}

/** Replaces everything in a body; `size` is how much is there now. Fails on a response without a body. */
export function replaceBuffer(type: Buffer, size: u32, data: Bytes): Status {
  return <Status>proxy_set_buffer_bytes(type, 0, size, bytesPtr(data), bytesLength(data));
}

/** Answers the stream with 503, or UNAVAILABLE; it allocates nothing. */
export function failStream(): Status {
  return <Status>proxy_send_local_response(503, 0, 0, 0, 0, 0, 0, 14);
}

/**
 * Answers the stream from inside the host. The reply runs through this
 * filter's own response callbacks before this returns.
 *
 * @param status HTTP status; a gRPC request always gets 200 and trailers only
 * @param body HTTP body, or the gRPC status message
 * @param grpcStatus google.rpc.Code, or GRPC_STATUS_NONE
 */
export function sendLocalResponse(status: u32, headers: HeaderList, body: Bytes, grpcStatus: i32): Status {
  const pairs = headers.serialize(allocate);
  const result = proxy_send_local_response(
    status,
    0,
    0,
    bytesPtr(body),
    bytesLength(body),
    bytesPtr(pairs),
    bytesLength(pairs),
    grpcStatus,
  );
  release(pairs);
  return <Status>result;
}
