import { ConfigurationError } from '../../primitives/configuration/store.js';

/**
 * How Layotto keeps items in Apollo, so that both can use the same data: an item is an entry of the namespace that
 * its group names, under `key@$label`, or `key` without a label; its tags are JSON in a namespace for all tags, under
 * `group@$key@$label`.
 */
export const TAGS_NAMESPACE = 'sidecar_config_tags';

const DELIMITER = '@$';

export interface KeyAndLabel {
  key: string;
  label: string;
}

export function storedKey({ key, label }: KeyAndLabel): string {
  return label === '' ? key : `${key}${DELIMITER}${label}`;
}

/** What an entry is called, made by whomever. */
export function keyAndLabelOf(stored: string): KeyAndLabel {
  const [key = '', label = ''] = stored.split(DELIMITER);
  return { key, label };
}

export function tagsKey(group: string, stored: string): string {
  return `${group}${DELIMITER}${stored}`;
}

/** Tags as they are kept; none if it is something else. */
export function tagsIn(text: string | undefined): Record<string, string> {
  if (text === undefined) return {};
  try {
    const tags = JSON.parse(text) as unknown;
    if (typeof tags !== 'object' || tags === null || Array.isArray(tags)) return {};
    return Object.fromEntries(Object.entries(tags).map(([key, value]) => [key, String(value)]));
  } catch {
    return {};
  }
}

/** @throws ConfigurationError if Apollo cannot keep an item under this key and label */
export function checkKey({ key, label }: KeyAndLabel): void {
  const refused = (why: string): ConfigurationError =>
    new ConfigurationError('invalid', `Apollo cannot keep the key ${JSON.stringify(key)}: ${why}`);
  if (key.includes(DELIMITER) || label.includes(DELIMITER))
    throw refused(`"${DELIMITER}" stands between key and label there`);
  const stored = storedKey({ key, label });
  if (/[/\\\p{Cc}]/u.test(stored) || /^\.+$/.test(stored))
    throw refused('its open API takes no slashes and control characters in keys');
}
