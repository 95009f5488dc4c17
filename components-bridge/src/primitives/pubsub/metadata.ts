import { EnvelopeError } from './envelope-error.js';

/** The values of Go's strconv.ParseBool, by which Dapr reads them. */
const BOOLEANS: Readonly<Record<string, boolean>> = {
  '1': true,
  t: true,
  T: true,
  true: true,
  TRUE: true,
  True: true,
  '0': false,
  f: false,
  F: false,
  false: false,
  FALSE: false,
  False: false,
};

/** The last moment that RFC 3339 can write. */
const LAST_MOMENT = Date.parse('9999-12-31T23:59:59.999Z');

/** A property, whatever the case of its name, as Dapr looks them up. */
export function property(metadata: Readonly<Record<string, string>>, name: string): string | undefined {
  const exact = Object.hasOwn(metadata, name) ? metadata[name] : undefined;
  if (exact !== undefined) return exact;
  const wanted = name.toLowerCase();
  for (const key in metadata) if (key.toLowerCase() === wanted) return metadata[key];
  return undefined;
}

/** Whether the data go without envelope. @throws EnvelopeError */
export function isRaw(metadata: Readonly<Record<string, string>>): boolean {
  const text = property(metadata, 'rawPayload') ?? '';
  if (text === '') return false;
  const value = Object.hasOwn(BOOLEANS, text) ? BOOLEANS[text] : undefined;
  if (value !== undefined) return value;
  throw new EnvelopeError(
    'metadata',
    `rawPayload value must be a valid boolean: actual is '${clipped(text)}'`,
  );
}

/**
 * When an event that has `ttlInSeconds` expires, in milliseconds since the epoch; undefined if it has none.
 *
 * @throws EnvelopeError
 */
export function expiryOf(metadata: Readonly<Record<string, string>>, now: number): number | undefined {
  const text = property(metadata, 'ttlInSeconds') ?? '';
  if (text === '') return undefined;
  if (!/^[0-9]+$/.test(text) || Number(text) === 0) {
    const message = `ttlInSeconds value must be a whole number of seconds higher than zero: actual is '${clipped(text)}'`;
    throw new EnvelopeError('metadata', message);
  }
  return Math.min(now + Number(text) * 1000, LAST_MOMENT);
}

function clipped(text: string): string {
  return text.length > 64 ? `${text.slice(0, 64)}…` : text;
}
