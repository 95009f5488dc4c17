import { isIP } from 'node:net';

import { isRecord } from './document.js';
import type { ConfigDocument } from './document.js';
import { asCount, asHostName, asPort } from './limits.js';
import { describe, keyText } from './problems.js';
import type { Findings } from './problems.js';
import { hint } from './suggest.js';
import type { CalleeAddress, CalleeConfig, CalleeMirror, CalleeRoute } from './types.js';
import { parseDuration } from './units.js';

type Path = readonly PropertyKey[];

/** The most callees, addresses of one, and routes of one. */
export const MOST_CALLEES = 200;
const MOST_ADDRESSES = 100;
const MOST_ROUTES = 20;

/** What metrics call those without a name of their own, and calls that lead nowhere. */
export const RESERVED = ['other', 'none', 'localhost', 'unknown'];

const KEYS = ['to', 'protocol', 'timeout', 'retries', 'routes', 'mirror'];
const ROUTE_KEYS = ['headers', 'weight', 'to'];
const MIRROR_KEYS = ['to', 'percent'];

const MAP =
  'a map of 1 to 200 host names to addresses, or lists of them, such as { inventory: "127.0.0.1:8081" }';
const NAME = 'a host name such as inventory, not other, none, unknown or localhost';
const HEADERS = 'a map of names of headers to texts that are not empty, such as { x-version: beta }';
const ADDRESS = 'HOST:PORT, such as 127.0.0.1:8081, or a list of 1 to 100 of them';

/**
 * Reads `callees`: whom the app calls, by a name of their own.
 *
 * @returns undefined if there are none, or something of it is wrong, which is reported
 */
export function readCallees(
  document: ConfigDocument,
  findings: Findings,
): Record<string, CalleeConfig> | undefined {
  const value = isRecord(document.value) ? document.value['callees'] : undefined;
  if (value === undefined || value === null) return undefined;
  return new CalleeReader(document, findings).read(value);
}

class CalleeReader {
  constructor(
    readonly document: ConfigDocument,
    readonly findings: Findings,
  ) {}

  read(value: unknown): Record<string, CalleeConfig> | undefined {
    const entries = isRecord(value) ? Object.entries(value) : [];
    if (entries.length === 0 || entries.length > MOST_CALLEES) return this.#problem(['callees'], MAP, value);
    const found = new Map<string, CalleeConfig>();
    const names = new Set<string>();
    for (const [written, settings] of entries) {
      const path = ['callees', written];
      const name = this.#name(written, names, path);
      const callee = this.#callee(settings, path);
      if (name !== undefined && callee !== undefined) found.set(name, callee);
    }
    return found.size < entries.length ? undefined : Object.fromEntries(found);
  }

  #name(written: string, taken: Set<string>, path: Path): string | undefined {
    const name = asHostName(written);
    if (name === undefined || RESERVED.includes(name)) return this.#problem(path, NAME, written);
    if (taken.has(name))
      return this.#problem(path, 'a name of its own (capitals are small letters in it)', written);
    taken.add(name);
    return name;
  }

  #callee(value: unknown, path: Path): CalleeConfig | undefined {
    if (!isRecord(value)) {
      const to = this.#addresses(value, path);
      return to === undefined ? undefined : { to };
    }
    let fine = this.#known(value, path, KEYS);
    const { to, protocol, timeout, retries, routes, mirror } = value;
    const callee: CalleeConfig = { to: [] };
    const take = <Found>(found: Found | undefined, set: (found: Found) => void): void => {
      if (found === undefined) fine = false;
      else set(found);
    };
    if (isGiven(routes)) take(this.#routes(routes, [...path, 'routes']), (found) => (callee.routes = found));
    // What no header asks for, and no weight shares out, goes there.
    const shared = hasWeights(routes);
    if (shared && isGiven(to)) {
      const expected = 'no address beside routes with a weight, which share out every call';
      fine = this.#problem([...path, 'to'], expected, to) ?? false;
    } else if (!shared) take(this.#addresses(to, [...path, 'to']), (found) => (callee.to = found));
    if (isGiven(protocol))
      take(this.#protocol(protocol, [...path, 'protocol']), (found) => (callee.protocol = found));
    if (isGiven(timeout))
      take(this.#duration(timeout, [...path, 'timeout']), (found) => (callee.timeoutMs = found));
    if (isGiven(retries))
      take(this.#count(retries, 10, [...path, 'retries']), (found) => (callee.retries = found));
    if (isGiven(mirror)) take(this.#mirror(mirror, [...path, 'mirror']), (found) => (callee.mirror = found));
    return fine ? callee : undefined;
  }

  #routes(value: unknown, path: Path): CalleeRoute[] | undefined {
    if (!Array.isArray(value) || value.length === 0 || value.length > MOST_ROUTES)
      return this.#problem(path, 'a list of 1 to 20 routes, each with to and headers or weight', value);
    const found = value.map((route: unknown, index) => this.#route(route, [...path, index]));
    if (!found.every((route) => route !== undefined)) return undefined;
    const weights = found.flatMap(({ weight }) => weight ?? []);
    if (weights.length > 0 && weights.every((weight) => weight === 0))
      return this.#problem(path, 'a weight above 0, because all together share out every call', 0);
    return found;
  }

  #route(value: unknown, path: Path): CalleeRoute | undefined {
    if (!isRecord(value)) return this.#problem(path, 'a map with to, and headers or weight', value);
    const known = this.#known(value, path, ROUTE_KEYS);
    const { headers, weight } = value;
    const to = this.#addresses(value['to'], [...path, 'to']);
    if (isGiven(headers) === isGiven(weight)) return this.#problem(path, 'either headers or weight', value);
    if (isGiven(headers)) {
      const wanted = asHeaders(headers) ?? this.#problem([...path, 'headers'], HEADERS, headers);
      return to === undefined || wanted === undefined || !known ? undefined : { headers: wanted, to };
    }
    const share = this.#count(weight, 1_000_000, [...path, 'weight']);
    return to === undefined || share === undefined || !known ? undefined : { weight: share, to };
  }

  #mirror(value: unknown, path: Path): CalleeMirror | undefined {
    if (!isRecord(value)) return this.#problem(path, 'a map with to and percent', value);
    const known = this.#known(value, path, MIRROR_KEYS);
    const to = this.#addresses(value['to'], [...path, 'to']);
    const percent = isGiven(value['percent'])
      ? this.#count(value['percent'], 100, [...path, 'percent'])
      : 100;
    return to === undefined || percent === undefined || !known ? undefined : { to, percent };
  }

  #protocol(value: unknown, path: Path): CalleeConfig['protocol'] {
    if (value === 'http' || value === 'http2' || value === 'grpc') return value;
    return this.#problem(path, 'http, http2 or grpc', value);
  }

  #duration(value: unknown, path: Path): number | undefined {
    const ms = parseDuration(value);
    if (ms !== undefined && ms >= 1 && ms <= 3_600_000) return ms;
    return this.#problem(path, 'a duration from 1ms to 1h with its unit, such as 5s', value);
  }

  #count(value: unknown, most: number, path: Path): number | undefined {
    const count = asCount(value, 0, most);
    return count ?? this.#problem(path, `a whole number from 0 to ${most}`, value);
  }

  #addresses(value: unknown, path: Path): CalleeAddress[] | undefined {
    const list: unknown[] = [value].flat();
    const found = list.map(asCalleeAddress);
    const fine = found.length > 0 && found.length <= MOST_ADDRESSES;
    if (fine && found.every((address) => address !== undefined)) return found;
    return this.#problem(path, ADDRESS, value);
  }

  #known(value: Record<string, unknown>, path: Path, keys: readonly string[]): boolean {
    let fine = true;
    for (const key of Object.keys(value)) {
      if (keys.includes(key)) continue;
      fine = false;
      const at = [...path, key];
      const message = `unknown key; ${hint(key, keys)}`;
      this.findings.problem(this.document.file, this.document.lineOf(at), keyText(at), message);
    }
    return fine;
  }

  #problem(path: Path, expected: string, value: unknown): undefined {
    this.findings.problem(
      this.document.file,
      this.document.lineOf(path),
      keyText(path),
      `expected ${expected}, found ${describe(value)}`,
    );
  }
}

function isGiven(value: unknown): boolean {
  return value !== undefined && value !== null;
}

function hasWeights(routes: unknown): boolean {
  return Array.isArray(routes) && routes.some((route) => isRecord(route) && isGiven(route['weight']));
}

/** Headers and what they must say; names in lower case, and none that belong to HTTP itself. */
function asHeaders(value: unknown): Record<string, string> | undefined {
  if (!isRecord(value)) return undefined;
  const entries = Object.entries(value).map(([name, text]) => [name.toLowerCase(), text] as const);
  const fine = entries.every(
    ([name, text]) => /^[a-z0-9_-]+$/.test(name) && typeof text === 'string' && text !== '',
  );
  return fine && entries.length > 0 ? (Object.fromEntries(entries) as Record<string, string>) : undefined;
}

function asCalleeAddress(value: unknown): CalleeAddress | undefined {
  const match = typeof value === 'string' ? /^(.+):(\d{1,5})$/.exec(value) : null;
  const port = asPort(match?.[2], 1);
  const written = (match?.[1] ?? '').replace(/^\[(.*)\]$/, '$1');
  const host = isIP(written) === 0 ? asHostName(written) : written;
  return host === undefined || port === undefined ? undefined : { host, port };
}
