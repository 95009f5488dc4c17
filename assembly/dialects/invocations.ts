// Which HTTP calls pass to an app, and by which way: Dapr's path
// /v1.0/invoke/{app}/method/{path}, the header dapr-app-id, or the user
// dapr-app-id of basic authentication, whose password is the app's id.

import { Callee } from '../config/invocation';
import { decodeBase64 } from '../wire/base64';
import { ByteWriter } from '../wire/bytes';
import { unescapeQuery } from '../wire/percent';
import {
  literal,
  View,
  viewEquals,
  viewEqualsIgnoreCase,
  viewIndexOf,
  viewLen,
  viewSlice,
  viewStartsWith,
} from '../wire/view';
import { Exchange } from './exchange';
import { Router } from './router';

const PREFIX = literal('/v1.0/invoke/');
const METHOD_PART = literal('method/');
const METHOD_WAY = literal('/method/');
const METHOD = literal('method');
const VERSION = literal('v1.0');
const INVOKE = literal('invoke');

const APP_ID = literal('dapr-app-id');
const AUTHORIZATION = literal('authorization');
const BASIC = literal('basic ');
const USER = literal('dapr-app-id:');

const SLASH: u8 = 0x2f;

/**
 * The usual way, and the cheapest: the path names a callee of the configuration as its route does, so that nothing
 * about the call has to change.
 */
export function passesAsItIs(router: Router, exchange: Exchange): bool {
  const route = router.invoked;
  if (route === null || !viewStartsWith(exchange.path, PREFIX)) return false;
  const invocation = exchange.configuration.invocation;
  const from = viewLen(PREFIX);
  const to = viewIndexOf(exchange.path, SLASH, from);
  if (to < 0 || !viewStartsWith(viewSlice(exchange.path, to + 1, viewLen(exchange.path)), METHOD_PART))
    return false;
  const id = viewSlice(exchange.path, from, to);
  const callee = invocation.exactly(id);
  if (callee === null) return false;
  exchange.pass(route, id, callee, 0);
  return true;
}

/**
 * Whether a call that nothing of the runtime serves names an app.
 *
 * @param segments of its path, cleaned
 */
export function passesToApp(router: Router, exchange: Exchange, segments: Array<View>): bool {
  const route = router.invoked;
  const invocation = exchange.configuration.invocation;
  if (route === null || !invocation.served) return false;
  if (isInvokePath(segments)) {
    const id = unescaped(exchange, segments[2]);
    const callee = invocation.find(id);
    const way = wayTo(exchange, callee, id);
    way.raw(METHOD_WAY);
    for (let i = 4; i < segments.length; i++) {
      if (i > 4) way.u8(SLASH);
      way.raw(segments[i]);
    }
    exchange.pass(route, id, callee, withQuery(exchange, way));
    return true;
  }
  const id = appIdOf(exchange);
  if (viewLen(id) == 0) return false;
  const callee = invocation.find(id);
  exchange.pass(route, id, callee, wayOfPath(exchange, callee, id));
  return true;
}

/** `v1.0/invoke/{app}/method`, and more. */
function isInvokePath(segments: Array<View>): bool {
  if (segments.length < 4 || !viewEquals(segments[0], VERSION)) return false;
  return viewEquals(segments[1], INVOKE) && viewEquals(segments[3], METHOD);
}

/** The way of a call whose path is already the callee's. */
export function wayOfPath(exchange: Exchange, callee: Callee | null, id: View): View {
  const way = wayTo(exchange, callee, id);
  const rooted = viewStartsWith(exchange.path, viewSlice(PREFIX, 0, 1));
  way.raw(rooted ? viewSlice(METHOD_WAY, 0, viewLen(METHOD_WAY) - 1) : METHOD_WAY);
  way.raw(exchange.path);
  return withQuery(exchange, way);
}

/** Begins the way to a callee: under the name that its route knows. */
export function wayTo(exchange: Exchange, callee: Callee | null, id: View): ByteWriter {
  const way = exchange.writer();
  way.raw(PREFIX);
  way.raw(callee === null || callee.found ? id : callee.name);
  return way;
}

function withQuery(exchange: Exchange, way: ByteWriter): View {
  if (exchange.query != 0) {
    way.text('?');
    way.raw(exchange.query);
  }
  return way.view();
}

/** The app that headers name; no bytes if they name none. */
export function appIdOf(exchange: Exchange): View {
  const id = exchange.headers.get(APP_ID);
  if (viewLen(id) > 0) return id;
  const given = exchange.headers.get(AUTHORIZATION);
  if (!viewEqualsIgnoreCase(viewSlice(given, 0, viewLen(BASIC)), BASIC)) return 0;
  const w = exchange.writer();
  if (!decodeBase64(viewSlice(given, viewLen(BASIC), viewLen(given)), w)) return 0;
  const text = w.view();
  return viewStartsWith(text, USER) ? viewSlice(text, viewLen(USER), viewLen(text)) : 0;
}

function unescaped(exchange: Exchange, text: View): View {
  const w = exchange.writer();
  return unescapeQuery(text, w) ? w.view() : text;
}
