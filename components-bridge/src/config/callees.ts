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
  'a map of 1 to 200 host names to addresses, or lists of them, such as { inventory: "127.0.0.1:8081" }; not other, none, unknown or localhost';
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
    if (entries.length === 0 || entries.length > MOST_CALLEES) return this.#map(value);
    const found = new Map<string, CalleeConfig>();
    for (const [written, settings] of entries) {
      const name = asHostName(written);
      if (name === undefined || found.has(name) || RESERVED.includes(name)) return this.#map(value);
      const callee = this.#callee(settings, ['callees', written]);
      if (callee !== undefined) found.set(name, callee);
    }
    return found.size < entries.length ? undefined : Object.fromEntries(found);
  }

  #map(value: unknown): undefined {
    this.#problem(['callees'], MAP, value);
  }

  #callee(value: unknown, path: Path): CalleeConfig | undefined {
    if (!isRecord(value)) {
      const to = this.#addresses(value, path);
      return to === undefined ? undefined : { to };
    }
    if (!this.#known(value, path, KEYS)) return undefined;
    const { to, protocol, timeout, retries, routes, mirror } = value;
    const callee: CalleeConfig = { to: [] };
    let fine = true;
    const take = <Found>(found: Found | undefined, set: (found: Found) => void): void => {
      if (found === undefined) fine = false;
      else set(found);
    };
    if (isGiven(routes)) take(this.#routes(routes, [...path, 'routes']), (found) => (callee.routes = found));
    // What no header asks for, and no weight shares out, goes there.
    const shared = callee.routes?.some(({ weight }) => weight !== undefined) ?? false;
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
    return found.every((route) => route !== undefined) ? found : undefined;
  }

  #route(value: unknown, path: Path): CalleeRoute | undefined {
    if (!isRecord(value)) return this.#problem(path, 'a map with to, and headers or weight', value);
    if (!this.#known(value, path, ROUTE_KEYS)) return undefined;
    const { headers, weight } = value;
    const to = this.#addresses(value['to'], [...path, 'to']);
    if (isGiven(headers) === isGiven(weight)) return this.#problem(path, 'either headers or weight', value);
    if (isGiven(headers)) {
      const wanted = asHeaders(headers);
      if (wanted === undefined)
        return this.#problem(
          [...path, 'headers'],
          'a map of names of headers to texts, such as { x-version: beta }',
          headers,
        );
      return to === undefined ? undefined : { headers: wanted, to };
    }
    const share = this.#count(weight, 1_000_000, [...path, 'weight']);
    return to === undefined || share === undefined ? undefined : { weight: share, to };
  }

  #mirror(value: unknown, path: Path): CalleeMirror | undefined {
    if (!isRecord(value)) return this.#problem(path, 'a map with to and percent', value);
    if (!this.#known(value, path, MIRROR_KEYS)) return undefined;
    const to = this.#addresses(value['to'], [...path, 'to']);
    const percent = isGiven(value['percent'])
      ? this.#count(value['percent'], 100, [...path, 'percent'])
      : 100;
    return to === undefined || percent === undefined ? undefined : { to, percent };
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
