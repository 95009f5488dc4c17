import { metadataValue } from './types.js';
import type { ComponentConfig } from './types.js';
import { parseFlag } from './units.js';

/** Layotto's metadata keys of sequencers whose ids Envoy may hand out in runs. */
export const SEGMENT_CACHE_KEY = 'segmentCacheEnable';
export const SEGMENT_STEP_KEY = 'segmentStep';

/** How many ids a run has if the configuration does not say; Layotto's number. */
const DEFAULT_STEP = 10_000;
const LONGEST_STEP = 1_000_000;

/** What the keys' values must look like. */
export const STEP_EXPECTED = `a whole number from 2 to ${LONGEST_STEP}`;
export const BIGGER_THAN_EXPECTED =
  'a JSON object of keys, each with a whole number from 0 to 9223372036854775806, such as {"orders": 1000}';

/** How many ids a run has, or undefined if the text does not say. */
export function parseStep(text: string): number | undefined {
  const step = /^\d{1,7}$/.test(text) ? Number(text) : 0;
  return step >= 2 && step <= LONGEST_STEP ? step : undefined;
}

/** How many ids of this component Envoy takes at a time, to answer WEAK calls itself; undefined: it asks for each. */
export function segmentStep({ metadata }: ComponentConfig): number | undefined {
  if (parseFlag(metadataValue(metadata, SEGMENT_CACHE_KEY) ?? '') !== true) return undefined;
  return parseStep(metadataValue(metadata, SEGMENT_STEP_KEY) ?? '') ?? DEFAULT_STEP;
}

/** What ids of a key must be greater than, by key as calls name it; undefined if the text is not that. */
export function parseBiggerThan(text: string): ReadonlyMap<string, bigint> | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
  const least = new Map<string, bigint>();
  for (const [key, written] of Object.entries(value)) {
    // A number that JSON cannot say exactly may be written as a text.
    const exact =
      Number.isSafeInteger(written) || (typeof written === 'string' && /^\d{1,19}$/.test(written));
    const id = exact ? BigInt(written as number | string) : -1n;
    if (key === '' || key.includes('||') || id < 0n || id >= 2n ** 63n - 1n) return undefined;
    least.set(key, id);
  }
  return least;
}
