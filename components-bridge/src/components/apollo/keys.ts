import { ConfigurationError } from '../../primitives/configuration/store.js';

/** Stands between group, key and label, as in Layotto. */
const DELIMITER = '@$';

/** Where tags are: a namespace that Layotto made up. */
export const TAGS_NAMESPACE = 'sidecar_config_tags';

interface Place {
  key: string;
  label: string;
}

/** The key of an item in Apollo. @throws ConfigurationError if Apollo cannot have it */
export function labelled({ key, label }: Place): string {
  const problem = problemOf(key, label);
  if (problem !== undefined) throw new ConfigurationError('invalid', problem);
  return label === '' ? key : key + DELIMITER + label;
}

/** The key of an item's tags. */
export function tagsKey({ group, key, label }: Place & { group: string }): string {
  return [group, key, ...(label === '' ? [] : [label])].join(DELIMITER);
}

export function splitKey(stored: string): Place {
  const [key = '', label = ''] = stored.split(DELIMITER);
  return { key, label };
}

/** Tags as they are kept. What is no JSON of texts has none. */
export function parseTags(text: string | undefined): Record<string, string> {
  if (text === undefined) return {};
  try {
    const parsed: unknown = JSON.parse(text);
    if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) return {};
    return Object.fromEntries(
      Object.entries(parsed).filter((entry): entry is [string, string] => typeof entry[1] === 'string'),
    );
  } catch {
    return {};
  }
}

function problemOf(key: string, label: string): string | undefined {
  for (const [what, text] of [
    ['key', key],
    ['label', label],
  ] as const) {
    const shown = `${what} ${JSON.stringify(text.slice(0, 100))}`;
    if (text.includes(DELIMITER))
      return `${shown} holds "${DELIMITER}", which stands before labels in Apollo`;
    // The portal's address of an item ends there.
    if (/[/\\;]/.test(text))
      return `${shown} holds a slash or a semicolon, which Apollo's open API does not take`;
  }
  return undefined;
}
