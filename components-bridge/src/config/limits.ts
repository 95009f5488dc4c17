import { isIP } from 'node:net';

import { isDnsLabel } from './kubernetes.js';
import type { ListenAddress } from './types.js';

/** Bytes of a Unix socket path that Linux takes: 108 with the closing zero. macOS takes 103. */
export const MAX_SOCKET_PATH = 107;

/** Is the path too long for a Unix socket? */
export function socketPathTooLong(path: string): boolean {
  return Buffer.byteLength(path) > MAX_SOCKET_PATH;
}

/** A whole number within bounds, or undefined. Digits in quotes or from the environment count as a number. */
export function asCount(value: unknown, lowest: number, highest: number): number | undefined {
  const number = typeof value === 'string' && /^(?:0|[1-9]\d{0,14})$/.test(value) ? Number(value) : value;
  if (typeof number !== 'number' || !Number.isInteger(number)) return undefined;
  return number >= lowest && number <= highest ? number : undefined;
}

/** A port, or undefined. `lowest` is 0 where 0 means none. */
export function asPort(value: unknown, lowest: 0 | 1): number | undefined {
  return asCount(value, lowest, 65535);
}

/** A part of a whole, from 0 to 1, or undefined. Digits in quotes or from the environment count as a number. */
export function asShare(value: unknown): number | undefined {
  const number = typeof value === 'string' && /^\d{1,3}(\.\d{1,9})?$/.test(value) ? Number(value) : value;
  return typeof number === 'number' && number >= 0 && number <= 1 ? number : undefined;
}

/** The base address of a collector, `http://host:port` with or without a path, and no slash at its end. */
export function asCollector(value: unknown): string | undefined {
  if (typeof value !== 'string' || !URL.canParse(value)) return undefined;
  const { protocol, hostname, port, username, password, search, hash, pathname } = new URL(value);
  if (protocol !== 'http:' || hostname === '' || `${username}${password}${search}${hash}` !== '')
    return undefined;
  if (pathname.includes('/v1/traces')) return undefined;
  return `http://${hostname}:${port || '80'}${pathname.replace(/\/+$/, '')}`;
}

/** An address to listen on: an IP address; `localhost` becomes 127.0.0.1, because Envoy binds addresses only. */
export function asListenHost(value: unknown): string | undefined {
  if (value === 'localhost') return '127.0.0.1';
  return typeof value === 'string' && isIP(value) !== 0 ? value : undefined;
}

/**
 * An address to listen on: `host:port` with an IP address, in brackets if it has colons, or a port alone, which is on
 * 127.0.0.1.
 *
 * @param everywhere an address without a host, such as `:34904`, is every address; else it is none
 */
export function asListenAddress(value: unknown, everywhere = false): ListenAddress | undefined {
  const alone = asPort(value, 1);
  if (alone !== undefined) return { host: '127.0.0.1', port: alone };
  const match = typeof value === 'string' ? /^(.*):(\d{1,5})$/.exec(value) : null;
  const written = match?.[1] ?? '';
  const host = asListenHost(everywhere && written === '' ? '0.0.0.0' : written.replace(/^\[(.*)\]$/, '$1'));
  const port = asPort(match?.[2], 1);
  return host === undefined || port === undefined ? undefined : { host, port };
}

/** An address of loopback to listen on, as {@link asListenAddress} has it. */
export function asLoopbackAddress(value: unknown): ListenAddress | undefined {
  const address = asListenAddress(value);
  return address !== undefined && isLoopback(address.host) ? address : undefined;
}

/** Whether an IP address is this machine's own. */
export function isLoopback(host: string): boolean {
  return host === '::1' || host.startsWith('127.');
}

/** A host name as it stands in a Host header, without port; in lower case. */
export function asHostName(value: unknown): string | undefined {
  if (typeof value !== 'string' || value.length > 253) return undefined;
  const label = '[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?';
  const name = value.toLowerCase();
  return new RegExp(`^${label}(?:\\.${label})*$`).test(name) ? name : undefined;
}

/**
 * What an app id must be. It becomes part of stored keys (`<id>||<key>`), headers and file names.
 * Returns what was expected, or undefined if the id is fine.
 */
export function appIdProblem(id: string): string | undefined {
  if (/^[\x21-\x7e]{1,128}$/.test(id) && !id.includes('||') && !id.includes('/')) return undefined;
  return 'expected 1 to 128 visible ASCII characters without "/" and "||"';
}

/** App ids, as a list of at least one; undefined if it is none. */
export function asAppIds(value: unknown): string[] | undefined {
  if (!Array.isArray(value) || value.length === 0) return undefined;
  const isId = (id: unknown): id is string => typeof id === 'string' && appIdProblem(id) === undefined;
  return value.every(isId) ? value : undefined;
}

/** A namespace, as Kubernetes names them; undefined if it is none. */
export function asNamespace(value: unknown): string | undefined {
  return typeof value === 'string' && isDnsLabel(value) ? value : undefined;
}

/** What a component name must be: it is a segment of Dapr's URLs. Undefined if the name is fine. */
export function componentNameProblem(name: string): string | undefined {
  // eslint-disable-next-line no-control-regex -- control characters are what it looks for
  if (name !== '' && Buffer.byteLength(name) <= 128 && !/[\s/?#\x00-\x1f\x7f]/.test(name)) return undefined;
  return 'expected 1 to 128 bytes without spaces, "/", "?" and "#"';
}
