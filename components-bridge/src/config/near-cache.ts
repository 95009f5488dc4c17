import { metadataValue } from './types.js';
import type { ComponentConfig } from './types.js';
import { parseDuration } from './units.js';

/** The metadata key by which a store asks for its answers to be kept in Envoy. */
export const NEAR_CACHE_KEY = 'nearCacheMaxAge';

/** Longest age that can be asked for, in milliseconds: an hour. */
const LONGEST_MS = 3_600_000;

/** What the key's value must look like. */
export const NEAR_CACHE_EXPECTED = 'how old a kept answer may be, such as 5s, from 1ms to 1h';

/** The age in milliseconds, or undefined if the text is none. */
export function parseNearCacheAge(text: string): number | undefined {
  const age = parseDuration(text);
  return age !== undefined && age >= 1 && age <= LONGEST_MS ? Math.floor(age) : undefined;
}

/** How old an answer of this component kept in Envoy may be, in milliseconds; undefined: none are kept. */
export function nearCacheAge({ metadata }: ComponentConfig): number | undefined {
  return parseNearCacheAge(metadataValue(metadata, NEAR_CACHE_KEY) ?? '');
}
