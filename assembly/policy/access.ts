// Who may call: no browsers, no foreign host names, and the API token where
// one is set.

import { Configuration } from '../config/configuration';
import { Code } from '../dialects/codes';
import { Door } from '../dialects/door';
import { Exchange } from '../dialects/exchange';
import { constantTimeEquals, sha256Hex } from '../wire/sha256';
import { ByteWriter } from '../wire/bytes';
import {
  literal,
  View,
  view,
  viewEquals,
  viewEqualsIgnoreCase,
  viewLen,
  viewPtr,
  viewSlice,
} from '../wire/view';

const AUTHORITY = literal(':authority');
const ORIGIN = literal('origin');
const API_TOKEN = literal('dapr-api-token');
const LOCALHOST = literal('localhost');
const DOT_LOCALHOST = literal('.localhost');
const GET = literal('GET');
const HEALTHZ = literal('/v1.0/healthz');
const HEALTHZ_OUTBOUND = literal('/v1.0/healthz/outbound');
const LIVENESS = literal('/actuator/health/liveness');
const READINESS = literal('/actuator/health/readiness');

const FROM_BROWSER = literal('requests from web pages (those with an Origin header) are refused');
const FOREIGN_HOST = literal(
  'this host name is not allowed: use localhost or an IP address, or add the name to listen.hosts',
);

/**
 * Decides about a call before anything else looks at it, or fills in the refusal: it comes from a web page; its host
 * name is not this machine's (a page may have pointed its own name here); the API token is missing or wrong.
 */
export function checkAccess(configuration: Configuration, door: Door, exchange: Exchange): bool {
  const headers = exchange.headers;
  if (headers.has(ORIGIN)) {
    door.refuse(exchange, Code.PERMISSION_DENIED, FROM_BROWSER);
    return false;
  }
  if (!isOwnHost(configuration, headers.get(AUTHORITY))) {
    door.refuse(exchange, Code.PERMISSION_DENIED, FOREIGN_HOST);
    return false;
  }
  if (configuration.tokens.length == 0 || isExempt(exchange.method, exchange.path)) return true;
  const token = headers.get(API_TOKEN);
  if (holdsToken(configuration, token)) return true;
  door.refuseToken(exchange, viewLen(token) == 0);
  return false;
}

/** Health probes carry no token (reference: Dapr HTTP API, authentication). */
function isExempt(method: View, path: View): bool {
  if (!viewEquals(method, GET)) return false;
  return (
    viewEquals(path, HEALTHZ) ||
    viewEquals(path, HEALTHZ_OUTBOUND) ||
    viewEquals(path, LIVENESS) ||
    viewEquals(path, READINESS)
  );
}

function holdsToken(configuration: Configuration, token: View): bool {
  if (viewLen(token) == 0) return false;
  const digest = new ByteWriter();
  sha256Hex(token, digest);
  let found = false;
  for (let i = 0; i < configuration.tokens.length; i++) {
    if (constantTimeEquals(digest.view(), configuration.tokens[i])) found = true;
  }
  digest.free();
  return found;
}

const COLON: u8 = 0x3a;
const OPEN_BRACKET: u8 = 0x5b;
const DOT: u8 = 0x2e;

/** An IP address, localhost, or a name the configuration allows; a client on a Unix socket may name no host at all. */
function isOwnHost(configuration: Configuration, authority: View): bool {
  const length = viewLen(authority);
  if (length == 0) return true;
  const start = viewPtr(authority);
  if (load<u8>(start) == OPEN_BRACKET) return true;
  let end = length;
  for (let i = 0; i < length; i++) {
    if (load<u8>(start + i) == COLON) {
      end = i;
      break;
    }
  }
  const host = view(start, end);
  if (isIpv4(host) || viewEqualsIgnoreCase(host, LOCALHOST)) return true;
  const suffix = viewLen(DOT_LOCALHOST);
  if (end > suffix && viewEqualsIgnoreCase(viewSlice(host, end - suffix, end), DOT_LOCALHOST)) return true;
  for (let i = 0; i < configuration.hosts.length; i++) {
    if (viewEqualsIgnoreCase(host, configuration.hosts[i])) return true;
  }
  return false;
}

/** Digits and dots alone: no registered name looks like that. */
function isIpv4(host: View): bool {
  const length = viewLen(host);
  let dots = 0;
  for (let i = 0; i < length; i++) {
    const c = load<u8>(viewPtr(host) + i);
    if (c == DOT) dots++;
    else if (c < 0x30 || c > 0x39) return false;
  }
  return dots == 3;
}
