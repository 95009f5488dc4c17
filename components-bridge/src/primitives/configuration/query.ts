import { Code, OperationError } from '../errors.js';
import type { ConfigurationItem, ConfigurationQuery, ConfigurationStore } from './store.js';

/** Keys that one call or one subscription may name. */
export const MOST_KEYS = 1_000;

/** What a caller asks for, before the store's defaults are put in. */
export interface Asked {
  appId: string;
  group: string;
  label: string;
  keys: readonly string[];
  metadata: Readonly<Record<string, string>>;
}

/** @throws OperationError if it names too many keys */
export function checkKeys(keys: readonly string[]): void {
  if (keys.length <= MOST_KEYS) return;
  const message = `${keys.length} keys are named, at most ${MOST_KEYS} may be; name fewer, or none for all`;
  throw new OperationError(Code.INVALID_ARGUMENT, message);
}

/** What a blank group or label stands for is the store's own business. @param appId the runtime's own app */
export function queryFor(
  { defaults }: Pick<ConfigurationStore, 'defaults'>,
  asked: Asked,
  appId: string,
): ConfigurationQuery {
  return {
    appId: asked.appId === '' ? appId : asked.appId,
    group: orDefault(asked.group, defaults.group),
    label: orDefault(asked.label, defaults.label),
    keys: [...new Set(asked.keys)],
    metadata: asked.metadata,
  };
}

/** A name of spaces only counts as none, as in Layotto. */
export function orDefault(name: string, standard: string): string {
  return name.trim() === '' ? standard : name;
}

/** The same text for the same question to a store. */
export function canonical({ appId, group, label, keys, metadata }: Asked): string {
  const said = Object.entries(metadata).sort(([a], [b]) => compare(a, b));
  return JSON.stringify([appId, group.trim(), label.trim(), [...new Set(keys)].sort(compare), said]);
}

/** What makes an item the same one. */
export function idOf({ group, label, key }: Pick<ConfigurationItem, 'group' | 'label' | 'key'>): string {
  return JSON.stringify([group, label, key]);
}

/** In an order that does not depend on the backend. */
export function inOrder(items: readonly ConfigurationItem[]): ConfigurationItem[] {
  return [...items].sort(
    (a, b) => compare(a.group, b.group) || compare(a.label, b.label) || compare(a.key, b.key),
  );
}

/** Whether nothing of an item differs. */
export function isSame(a: ConfigurationItem, b: ConfigurationItem): boolean {
  return (
    a.content === b.content &&
    a.version === b.version &&
    isSameRecord(a.tags, b.tags) &&
    isSameRecord(a.metadata, b.metadata)
  );
}

function isSameRecord(a: Readonly<Record<string, string>>, b: Readonly<Record<string, string>>): boolean {
  const keys = Object.keys(a);
  return (
    keys.length === Object.keys(b).length && keys.every((key) => Object.hasOwn(b, key) && a[key] === b[key])
  );
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
