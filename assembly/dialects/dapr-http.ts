// The Dapr HTTP door: path grammar, metadata in the query, and error bodies.

import { ByteWriter } from '../wire/bytes';
import { jsonString } from '../wire/json-writer';
import { cleanPath, QueryReader, unescapeQuery } from '../wire/percent';
import { StringMap } from '../wire/string-map';
import { isHeaderValue } from '../wire/header-value';
import { literal, View, viewEquals, viewLen, viewPtr, viewSlice, viewStartsWith } from '../wire/view';
import { Code, httpStatusOf } from './codes';
import { Door } from './door';
import { Exchange } from './exchange';
import { appIdOf, passesAsItIs, passesToApp } from './invocations';
import { Route, Router, splitPath } from './router';
import { unservedHttp, unservedText } from './unserved';

const CONTENT_TYPE = literal('content-type');
const APPLICATION_JSON = literal('application/json');
const TEXT_PLAIN = literal('text/plain; charset=utf-8');
const BAD_REQUEST = literal('400 Bad Request');
const BAD_TOKEN = literal('invalid api token\n');
const NO_APP_ID = literal('failed getting app id either from the URL path or the header dapr-app-id');
export const ERR_DIRECT_INVOKE = literal('ERR_DIRECT_INVOKE');
const ERR_API_UNIMPLEMENTED = literal('ERR_API_UNIMPLEMENTED');
const ERR_MALFORMED_REQUEST = literal('ERR_MALFORMED_REQUEST');
const ERR_PERMISSION_DENIED = literal('ERR_PERMISSION_DENIED');
const ERR_TOO_BUSY = literal('ERR_TOO_BUSY');
const ERR_UNAVAILABLE = literal('ERR_UNAVAILABLE');
const ERR_DEADLINE_EXCEEDED = literal('ERR_DEADLINE_EXCEEDED');
const ERROR = literal('ERROR');
const METADATA_PREFIX = literal('metadata.');
const CONSISTENCY = literal('consistency');
const CONCURRENCY = literal('concurrency');
const ACTUATOR = literal('actuator');
const VERSION_PREFIX = literal('v1.0');
const INVOCATION = 'service invocation';

/** Writes Dapr's plain error body: {"errorCode":…,"message":…} plus, if given, the raw JSON of "details". */
export function errorBody(w: ByteWriter, errorCode: View, message: View, details: View): void {
  w.text('{"errorCode":');
  jsonString(w, errorCode);
  w.text(',"message":');
  jsonString(w, message);
  if (details != 0) {
    w.text(',"details":');
    w.raw(details);
  }
  w.text('}');
}

/** Answers with a JSON body. */
export function answerJson(exchange: Exchange, status: i32, body: View): void {
  exchange.reply.headers.add(CONTENT_TYPE, APPLICATION_JSON);
  exchange.reply.http(status, body);
}

/** Answers with Dapr's error body. */
export function answerError(
  exchange: Exchange,
  status: i32,
  errorCode: View,
  message: View,
  details: View = 0,
): void {
  const body = exchange.writer();
  errorBody(body, errorCode, message, details);
  answerJson(exchange, status, body.view());
}

/** Answers 204: done, nothing to say. */
export function answerEmpty(exchange: Exchange): void {
  exchange.reply.http(204, 0);
}

/** The errorCode of a refusal that belongs to no primitive. */
function errorCodeOf(code: i32): View {
  switch (code) {
    case Code.INVALID_ARGUMENT:
      return ERR_MALFORMED_REQUEST;
    case Code.PERMISSION_DENIED:
      return ERR_PERMISSION_DENIED;
    case Code.RESOURCE_EXHAUSTED:
      return ERR_TOO_BUSY;
    case Code.UNIMPLEMENTED:
      return ERR_API_UNIMPLEMENTED;
    case Code.UNAVAILABLE:
      return ERR_UNAVAILABLE;
    case Code.DEADLINE_EXCEEDED:
      return ERR_DEADLINE_EXCEEDED;
    default:
      return ERROR;
  }
}

/** What the query says: every `metadata.<name>`, unescaped and in order, the first value of a name being the one that counts, and the options. */
export class QueryMetadata {
  names: Array<View> = [];
  values: Array<View> = [];
  /** Value of `consistency`, or no bytes. */
  consistency: View = 0;
  /** Value of `concurrency`, or no bytes. */
  concurrency: View = 0;
  /** Bytes that all of the metadata takes in a message. */
  private size: i64 = 0;

  constructor(exchange: Exchange) {
    const query = new QueryReader();
    query.reset(exchange.query);
    while (query.next()) {
      const name = unescaped(exchange, query.key);
      const value = unescaped(exchange, query.value);
      if (viewStartsWith(name, METADATA_PREFIX)) {
        const key = viewSlice(name, viewLen(METADATA_PREFIX), viewLen(name));
        this.names.push(key);
        this.values.push(value);
        this.size += viewLen(key) + viewLen(value) + ENTRY_OVERHEAD;
      } else if (viewEquals(name, CONSISTENCY)) this.consistency = value;
      else if (viewEquals(name, CONCURRENCY)) this.concurrency = value;
    }
  }

  /** Whether the metadata, once for each of so many items, stays below a length. */
  fits(items: i32, length: i32): bool {
    return <i64>items * this.size <= <i64>length;
  }
}

/** The values of a name in the query, unescaped and in order. */
export function queryValues(exchange: Exchange, name: View): Array<View> {
  const values: Array<View> = [];
  const query = new QueryReader();
  query.reset(exchange.query);
  while (query.next()) {
    if (viewEquals(unescaped(exchange, query.key), name)) values.push(unescaped(exchange, query.value));
  }
  return values;
}

/** Tags and lengths of an entry of metadata in a message, at least. */
const ENTRY_OVERHEAD: i64 = 6;

/** Puts the query's metadata over the body's: of equal names the last one counts, so the query's first comes last. */
export function overrideMetadata(metadata: StringMap, query: QueryMetadata): void {
  for (let i = query.names.length - 1; i >= 0; i--) metadata.append(query.names[i], query.values[i]);
}

/**
 * Sends what the backend said of its answer along: a header "metadata.<name>" each. A name or value that no header
 * can hold is left out.
 */
export function addMetadataHeaders(exchange: Exchange, metadata: StringMap): void {
  for (let i = 0; i < metadata.size; i++) {
    if (!isHeaderName(metadata.keys[i]) || !isHeaderValue(metadata.values[i])) continue;
    const name = exchange.writer();
    name.raw(METADATA_PREFIX);
    name.raw(metadata.keys[i]);
    exchange.reply.headers.add(name.view(), metadata.values[i]);
  }
}

/** Letters, digits, "-", "." and "_": more than that no metadata needs. */
function isHeaderName(text: View): bool {
  const start = viewPtr(text);
  for (let i = 0, n = viewLen(text); i < n; i++) {
    const c = load<u8>(start + i);
    const letter = (c | 0x20) >= 0x61 && (c | 0x20) <= 0x7a;
    if (!letter && !(c >= 0x30 && c <= 0x39) && c != 0x2d && c != 0x2e && c != 0x5f) return false;
  }
  return viewLen(text) > 0;
}

const PERCENT: u8 = 0x25;
const PLUS: u8 = 0x2b;

/** Unescapes one path segment or query part; a bad escape in a query is kept as it came, as Go does. */
function unescaped(exchange: Exchange, text: View): View {
  if (!hasEscapes(text)) return text;
  const w = exchange.writer();
  return unescapeQuery(text, w) ? w.view() : text;
}

function hasEscapes(text: View): bool {
  const start = viewPtr(text);
  for (let i = 0, n = viewLen(text); i < n; i++) {
    const c = load<u8>(start + i);
    if (c == PERCENT || c == PLUS) return true;
  }
  return false;
}

export class DaprHttpDoor extends Door {
  constructor(private readonly router: Router) {
    super();
  }

  route(exchange: Exchange): bool {
    if (passesAsItIs(this.router, exchange)) return true;
    const clean = exchange.writer();
    cleanPath(exchange.path, clean);
    const segments = splitPath(clean.view());
    const escaped: Array<View> = [];
    if (!exchange.serve(this.router.findHttp(exchange.method, segments, escaped))) {
      if (passesToApp(this.router, exchange, segments)) return true;
      if (viewLen(exchange.reply.body) == 0) this.refuseUnknown(exchange, segments);
      return false;
    }
    for (let i = 0; i < escaped.length; i++) {
      if (!hasEscapes(escaped[i])) {
        exchange.params.push(escaped[i]);
        continue;
      }
      const w = exchange.writer();
      if (!unescapeQuery(escaped[i], w)) {
        exchange.reply.headers.add(CONTENT_TYPE, TEXT_PLAIN);
        exchange.reply.http(400, BAD_REQUEST);
        return false;
      }
      exchange.params.push(w.view());
    }
    return true;
  }

  /**
   * Dapr sends what matches nothing to service invocation, which then misses the app id; Layotto's actuator has no
   * words for what it does not know.
   */
  private refuseUnknown(exchange: Exchange, segments: Array<View>): void {
    if (segments.length > 0 && viewEquals(segments[0], ACTUATOR)) {
      exchange.reply.http(404, 0);
      return;
    }
    let missing = '';
    if (segments.length >= 2 && viewStartsWith(segments[0], VERSION_PREFIX))
      missing = unservedHttp(segments[1]);
    if (this.router.invoked !== null && exchange.configuration.invocation.served && missing == INVOCATION)
      missing = '';
    if (missing.length == 0 && viewLen(appIdOf(exchange)) > 0) missing = INVOCATION;
    if (missing.length == 0) {
      answerError(exchange, 404, ERR_DIRECT_INVOKE, NO_APP_ID);
      return;
    }
    answerError(exchange, 501, ERR_API_UNIMPLEMENTED, unservedText(exchange, missing));
  }

  protected get unknown(): Route {
    return this.router.unknownHttp;
  }

  open(exchange: Exchange, body: View): bool {
    exchange.body = body;
    return true;
  }

  refuse(exchange: Exchange, code: i32, message: View): void {
    if (code == Code.UNAUTHENTICATED) {
      exchange.reply.headers.add(CONTENT_TYPE, TEXT_PLAIN);
      exchange.reply.http(401, BAD_TOKEN);
      return;
    }
    answerError(exchange, httpStatusOf(code), errorCodeOf(code), message);
  }

  errorCode(exchange: Exchange, code: i32): View {
    return errorCodeOf(code);
  }

  tooLarge(exchange: Exchange): void {
    const text = exchange.writer();
    text.text('the request body is too large: limits.message is ');
    text.decimal(exchange.configuration.messageBytes);
    text.text(' bytes');
    answerError(exchange, 400, ERR_MALFORMED_REQUEST, text.view());
  }

  bodyLimit(messageBytes: i32): u32 {
    return <u32>messageBytes;
  }
}
