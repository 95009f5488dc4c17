import type { Place } from '../../primitives/configuration/notices.js';
import { ANY, ConfigurationError } from '../../primitives/configuration/store.js';
import type { ConfigurationQuery } from '../../primitives/configuration/store.js';

/**
 * Where the Redis configuration store keeps what. Dapr knows neither groups, labels nor tags: its item is a plain
 * string `value||version` under the item's own key. So are items of the default group and label here. What Dapr does
 * not have stands under keys that begin with `layotto||`:
 *
 *     layotto||item||<group>||<label>||<key>     an item of another group or label; of these two `%` and `|` escaped
 *     layotto||tags||<where the item is>         <version>||<bytes of the value>||{"tags":…,"metadata":…}
 *
 * The second counts only for the version that it names, so an item that Dapr or `redis-cli` overwrites has none.
 */
const OWN = 'layotto||';
const ITEM = `${OWN}item||`;
const TAGS = `${OWN}tags||`;

export const DEFAULTS = { group: 'default', label: 'default' } as const;

/** Where an item is kept. @throws ConfigurationError if it cannot have this key */
export function storedKey({ group, label, key }: Place): string {
  if (group !== DEFAULTS.group || label !== DEFAULTS.label) return `${prefixOf(group, label)}${key}`;
  if (!key.startsWith(OWN)) return key;
  throw new ConfigurationError(
    'invalid',
    `the key ${key} is taken: choose one that does not begin with "${OWN}"`,
  );
}

/** Where the tags of an item are kept. */
export function tagsKey(stored: string): string {
  return `${TAGS}${stored}`;
}

/** Whose item is kept there; undefined if it is none. */
export function placeOf(stored: string): Place | undefined {
  if (!stored.startsWith(OWN)) return { ...DEFAULTS, key: stored };
  if (!stored.startsWith(ITEM)) return undefined;
  const [group, label, ...key] = stored.slice(ITEM.length).split('||');
  if (group === undefined || label === undefined || key.length === 0) return undefined;
  return { group: unescapeName(group), label: unescapeName(label), key: key.join('||') };
}

/** Where the items of a query can be: at these keys, or wherever this glob pattern matches. */
export function placesOf({
  group,
  label,
  keys,
}: ConfigurationQuery): { keys: string[] } | { pattern: string } {
  if (group === ANY || label === ANY) return { pattern: '*' };
  if (keys.length > 0) return { keys: keys.map((key) => storedKey({ group, label, key })) };
  if (group === DEFAULTS.group && label === DEFAULTS.label) return { pattern: '*' };
  return { pattern: `${escapeGlob(prefixOf(group, label))}*` };
}

function prefixOf(group: string, label: string): string {
  return `${ITEM}${escapeName(group)}||${escapeName(label)}||`;
}

function escapeName(name: string): string {
  return name.replace(/[%|]/g, (character) => (character === '%' ? '%25' : '%7C'));
}

function unescapeName(name: string): string {
  return name.replace(/%(25|7C)/g, (escape) => (escape === '%25' ? '%' : '|'));
}

export function escapeGlob(text: string): string {
  return text.replace(/[\\*?[\]]/g, '\\$&');
}
