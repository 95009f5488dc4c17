import { metadataValue } from '../../config/types.js';
import { Code, OperationError } from '../errors.js';

/** Longest expiry: ten thousand million seconds, about 317 years. Backends refuse what overflows their clocks. */
const LONGEST_TTL = 10_000_000_000;

/**
 * Seconds until expiry, from a request's metadata. Undefined if it gives none; 0 or less means never.
 *
 * @throws OperationError INTERNAL, as both peers answer, if the value is not a whole number of seconds in range
 */
export function ttlOf(metadata: Readonly<Record<string, string>>): number | undefined {
  const text = metadataValue(metadata, 'ttlInSeconds');
  if (text === undefined || text === '') return undefined;
  const ttl = parseTtl(text);
  if (ttl === undefined) {
    const wanted = `expected whole seconds, at most ${LONGEST_TTL}`;
    throw new OperationError(
      Code.INTERNAL,
      `failed to parse ttl from metadata: ${wanted}, found ${JSON.stringify(text)}`,
    );
  }
  return ttl;
}

/** Whole seconds from text, or undefined. */
export function parseTtl(text: string): number | undefined {
  if (!/^[+-]?\d{1,15}$/.test(text)) return undefined;
  const ttl = Number(text);
  return ttl <= LONGEST_TTL ? ttl : undefined;
}
