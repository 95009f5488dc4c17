import { StateError } from './store.js';
import type { StateRemoval, StateWrite } from './store.js';

/**
 * What a write demands of the key, for stores whose etags are version counters: a version in canonical decimal,
 * `absent`, or undefined for nothing.
 *
 * `0` demands nothing, like an empty etag: no version is ever 0, and Layotto's JavaScript client sends it whenever
 * the app gave none.
 */
export type Demand = { version: string } | 'absent' | undefined;

/** @throws StateError `etag-invalid` if the etag is not a number */
export function demandOfWrite(write: Pick<StateWrite, 'key' | 'etag' | 'firstWrite'>): Demand {
  const { etag } = write;
  if (etag !== undefined && etag !== '') {
    const version = canonicalVersion(etag);
    if (version === undefined) {
      throw new StateError('etag-invalid', `${JSON.stringify(etag)} is not a version number`, write.key);
    }
    if (version !== '0') return { version };
  }
  return write.firstWrite ? 'absent' : undefined;
}

/** An etag that is not a number matches no version, so the removal of an existing key fails by mismatch. */
export function demandOfRemoval({ etag }: Pick<StateRemoval, 'etag'>): Demand {
  if (etag === undefined || etag === '') return undefined;
  const version = canonicalVersion(etag) ?? etag;
  return version === '0' ? undefined : { version };
}

/** `7` for `7`, `+7` and `007`; undefined for what is not a whole number of at most 20 digits. */
function canonicalVersion(etag: string): string | undefined {
  if (!/^[+-]?\d{1,20}$/.test(etag)) return undefined;
  return BigInt(etag.startsWith('+') ? etag.slice(1) : etag).toString();
}

/** @throws StateError if the key, at `version` (undefined: absent), is not as demanded */
export function check(demand: Demand, version: string | undefined, key: string): void {
  if (demand === undefined || version === undefined) return;
  if (demand === 'absent') throw exists(key);
  if (demand.version !== version) throw mismatch(key, demand.version, version);
}

export function exists(key: string): StateError {
  return new StateError('exists', 'the key exists, and first-write without an etag only creates', key);
}

export function mismatch(key: string, asked: string, found: string): StateError {
  const is = found === '' ? 'it has no version' : `it is at version ${found}`;
  return new StateError('etag-mismatch', `key ${key}: version ${asked} was asked for, ${is}`, key);
}
