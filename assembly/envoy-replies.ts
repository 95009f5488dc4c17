// The replies that Envoy makes by itself, at a deadline or when nobody is
// behind a route: their status stays, their text gets the door's shape.

import { codeOfHttp } from './dialects/codes';
import { errorBody } from './dialects/dapr-http';
import { Door } from './dialects/door';
import { clip, Exchange } from './dialects/exchange';
import { Buffer, HeaderMap } from './host/enums';
import { getHeader, removeHeader, replaceHeader } from './host/headers';
import { release } from './host/memory';
import { usualStatus } from './metrics/http-status';
import { getBuffer, replaceBuffer } from './host/stream';
import { literal, View, viewToString } from './wire/view';

const STATUS = literal(':status');
const CONTENT_TYPE = literal('content-type');
const CONTENT_LENGTH = literal('content-length');
const GRPC_STATUS = literal('grpc-status');
const APPLICATION_JSON = literal('application/json');
const REQUEST_TIMEOUT = literal('408');

/** A google.rpc.Code in headers or trailers; negative if there is none. */
export function grpcStatusIn(map: HeaderMap): i32 {
  return numberIn(map, GRPC_STATUS);
}

/** The HTTP status in headers, as metrics count it: one that means nothing is UNUSUAL_STATUS. */
export function httpStatusIn(map: HeaderMap): i32 {
  const text = getHeader(map, STATUS);
  const status = usualStatus(text);
  release(text);
  return status;
}

/** What one of Envoy's own replies says: a google.rpc.Code, or an HTTP status. */
export function envoyReplyCode(grpc: bool): i32 {
  const code = numberIn(HeaderMap.ResponseHeaders, grpc ? GRPC_STATUS : STATUS);
  // Past the deadline Envoy says 504 if it had the whole request and 408 if not; to a caller that is one thing.
  return code == 504 ? 408 : code;
}

function numberIn(map: HeaderMap, name: View): i32 {
  const text = getHeader(map, name);
  const number = text == 0 ? -1 : <i32>parseInt(viewToString(text));
  release(text);
  return number;
}

/** Makes the headers of an HTTP reply those of an HTTP door's error. @param code what it says */
export function dressHeaders(code: i32): void {
  if (code == 408) replaceHeader(HeaderMap.ResponseHeaders, STATUS, REQUEST_TIMEOUT);
  replaceHeader(HeaderMap.ResponseHeaders, CONTENT_TYPE, APPLICATION_JSON);
  removeHeader(HeaderMap.ResponseHeaders, CONTENT_LENGTH);
}

/** Puts its text in the shape of the door's errors. @param size bytes of the body @param code what the reply says */
export function dressBody(door: Door, exchange: Exchange, size: u32, code: i32): void {
  const text = getBuffer(Buffer.ResponseBody, 0, size);
  const body = exchange.writer();
  errorBody(body, door.errorCode(exchange, codeOfHttp(code)), clip(text), 0);
  replaceBuffer(Buffer.ResponseBody, size, body.view());
  release(text);
}
