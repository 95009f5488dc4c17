import { ANY } from '../../primitives/configuration/store.js';
import type { ConfigurationQuery } from '../../primitives/configuration/store.js';
import type { Place } from '../../primitives/configuration/notices.js';

/** What stands before the parts of a key of an app. */
export interface AppPath {
  /** The component's own path; empty by default. */
  path: string;
  appId: string;
}

/** A range of keys: from the first one to the one before the last. */
export interface KeyRange {
  key: Buffer;
  rangeEnd: Buffer;
}

/**
 * Where Layotto keeps an item: `/<app>/<group>/<label>/<key>`, and each of its tags below it. A slash in a part is
 * written `%2F`, and a percent sign `%25`, which Layotto leaves as they are.
 */
export function itemKey(at: AppPath, { group, label, key }: Place): string {
  return join(at, group, label, key);
}

export function tagKey(at: AppPath, place: Place, tag: string): string {
  return `${itemKey(at, place)}/${escaped(tag)}`;
}

/** Every key that begins so. */
export function startingWith(prefix: string): KeyRange {
  const key = Buffer.from(prefix);
  const rangeEnd = Buffer.from(prefix);
  // What is joined here ends with a slash.
  rangeEnd[rangeEnd.length - 1] = '/'.charCodeAt(0) + 1;
  return { key, rangeEnd };
}

/** The narrowest prefix, slash included, of everything that a query may find, whatever its keys. */
export function prefixOf(at: AppPath, { group, label }: ConfigurationQuery): string {
  if (group === ANY) return `${join(at)}/`;
  return label === ANY ? `${join(at, group)}/` : `${join(at, group, label)}/`;
}

/** The place in a stored key, and the tag if it is one's; undefined if it is neither an item nor a tag. */
export function placeOf(at: AppPath, stored: string): (Place & { tag: string | undefined }) | undefined {
  const prefix = `${join(at)}/`;
  if (!stored.startsWith(prefix)) return undefined;
  const parts = stored.slice(prefix.length).split('/');
  if (parts.length < 3 || parts.length > 4) return undefined;
  const [group = '', label = '', key = '', tag] = parts.map(unescaped);
  return { group, label, key, tag };
}

function join({ path, appId }: AppPath, ...parts: string[]): string {
  return [path, appId, ...parts].map((part, index) => (index === 0 ? part : `/${escaped(part)}`)).join('');
}

function escaped(part: string): string {
  return part.replaceAll('%', '%25').replaceAll('/', '%2F');
}

function unescaped(part: string): string {
  return part.replaceAll('%2F', '/').replaceAll('%25', '%');
}
