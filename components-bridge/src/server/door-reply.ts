import { constants } from 'node:http2';
import type { ServerHttp2Stream } from 'node:http2';

import type { Refused } from '../doors/refused.js';
import { Code } from '../primitives/errors.js';
import { GRPC_HEADER } from './frame.js';
import { grpcMessage } from './stream.js';

const HEAD = { ':status': 200, 'content-type': 'application/grpc' } as const;

/** The texts of calls that are no well-formed gRPC, which are the filter's. */
export const COMPRESSED: Refused = {
  code: Code.UNIMPLEMENTED,
  message:
    'the message is compressed; this runtime takes identity encoding only, so turn compression off in the client',
  headers: { 'grpc-accept-encoding': 'identity' },
};
export const TOO_MANY: Refused = {
  code: Code.UNIMPLEMENTED,
  message: 'the request of a unary call holds more than one message',
};
const NO_MESSAGE: Refused = {
  code: Code.INTERNAL,
  message: 'the request of a unary call holds no message',
};
const INCOMPLETE: Refused = { code: Code.INTERNAL, message: 'the request ended inside a gRPC frame' };
const BAD_FLAG: Refused = { code: Code.INTERNAL, message: 'the gRPC frame has an invalid compression flag' };
export const BUSY: Refused = {
  code: Code.RESOURCE_EXHAUSTED,
  message: 'too busy: limits.operations or limits.bytes is reached; try again later',
};
export const MANY_STREAMS: Refused = {
  code: Code.RESOURCE_EXHAUSTED,
  message: 'too many open streams: limits.streams is reached; try again later',
};
export const RESULT_TOO_LARGE = 'the answer is larger than limits.message';
/** Envoy's own words for its deadline, which is the one of calls through the filter. */
export const EXPIRED: Refused = { code: Code.DEADLINE_EXCEEDED, message: 'downstream duration timeout' };
export const LEAVING: Refused = {
  code: Code.UNAVAILABLE,
  message: 'the bridge is shutting down; call again',
};

/** @param limit bytes of the largest message */
export function tooLarge(limit: number): Refused {
  const message = `received message larger than max: limits.message is ${limit} bytes`;
  return { code: Code.RESOURCE_EXHAUSTED, message };
}

/** The one message of a whole body, or why it is none. Finds what a reader finds first. */
export function unaryMessage(body: Buffer): Buffer | Refused {
  const [flag] = body;
  if (flag === undefined) return NO_MESSAGE;
  if (flag > 1) return BAD_FLAG;
  if (body.length < GRPC_HEADER) return INCOMPLETE;
  const size = body.readUInt32BE(1);
  const held = body.length - GRPC_HEADER;
  if (size > held) return INCOMPLETE;
  if (flag === 1) return COMPRESSED;
  return size < held ? TOO_MANY : body.subarray(GRPC_HEADER);
}

/** A message in gRPC's framing. */
export function framed(message: Uint8Array): Buffer {
  const frame = Buffer.allocUnsafe(GRPC_HEADER + message.length);
  frame[0] = 0;
  frame.writeUInt32BE(message.length, 1);
  frame.set(message, GRPC_HEADER);
  return frame;
}

/** Whether nothing can be sent on a stream any more: what Node throws then would be nobody's to catch. */
export function isGone(http2: ServerHttp2Stream): boolean {
  return http2.destroyed || http2.closed;
}

/** Opens an answer that has messages; `end` of the stream is then followed by `status`, and what stands beside it. */
export function open(
  http2: ServerHttp2Stream,
  status: () => Refused | undefined,
  headers: Readonly<Record<string, string>> = {},
  beside: Readonly<Record<string, string>> = {},
): void {
  http2.respond({ ...HEAD, ...bytesOf(headers) }, { waitForTrailers: true });
  http2.on('wantTrailers', () => {
    if (isGone(http2)) return;
    http2.sendTrailers({ ...trailers(status()), ...bytesOf(beside) });
    finish(http2);
  });
}

/** Ends a call that has had no message by its status alone. */
export function refuse(http2: ServerHttp2Stream, refused: Refused): void {
  if (isGone(http2) || http2.headersSent) return;
  http2.respond({ ...HEAD, ...bytesOf(refused.headers ?? {}), ...trailers(refused) }, { endStream: true });
  finish(http2);
}

/** Answers what is no gRPC call at all. */
export function refuseHttp(
  http2: ServerHttp2Stream,
  status: number,
  headers: Record<string, string> = {},
): void {
  if (isGone(http2)) return;
  http2.respond({ ':status': status, ...headers }, { endStream: true });
  finish(http2);
}

/** Whatever the caller still sends is not waited for. */
function finish(http2: ServerHttp2Stream): void {
  http2.resume();
  setImmediate(() => http2.close(constants.NGHTTP2_NO_ERROR));
}

function trailers(refused: Refused | undefined): Record<string, string> {
  if (refused === undefined) return { 'grpc-status': '0' };
  const { code, message, details } = refused;
  return {
    'grpc-status': String(code),
    ...(message === '' ? {} : { 'grpc-message': grpcMessage(message).replace(/^ | $/g, '%20') }),
    ...(details === undefined
      ? {}
      : { 'grpc-status-details-bin': Buffer.from(details).toString('base64').replace(/=+$/, '') }),
  };
}

/** Values as the bytes of their UTF-8, one character each: so Node writes them. */
function bytesOf(headers: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [name, Buffer.from(value).toString('latin1')]),
  );
}

const UNITS: Readonly<Record<string, number>> = { H: 3_600_000, M: 60_000, S: 1_000, m: 1, u: 1e-3, n: 1e-6 };

/** The longest that a timer of Node takes: 24 days. */
const LONGEST_MS = 2 ** 31 - 1;

/** The time in a `grpc-timeout` header, in whole milliseconds; undefined if it says none. */
export function timeoutMs(text: string | string[] | undefined): number | undefined {
  const [, digits, unit = ''] = /^(\d{1,8})([HMSmun])$/.exec(String(text ?? '')) ?? [];
  const ms = Math.ceil(Number(digits ?? 0) * (UNITS[unit] ?? 0));
  return ms > 0 ? Math.min(ms, LONGEST_MS) : undefined;
}
