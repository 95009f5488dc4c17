import { metadataValue } from './types.js';
import type { ComponentConfig } from './types.js';
import { parseDuration } from './units.js';

/** The metadata key by which a configuration store asks for reads to be answered in Envoy. */
export const ANSWER_IN_ENVOY_KEY = 'answerInEnvoy';

/** Bounds of the staleness that can be asked for, in milliseconds: a second and an hour. */
const SHORTEST_MS = 1_000;
const LONGEST_MS = 3_600_000;

/** What the key's value must look like. */
export const ANSWER_IN_ENVOY_EXPECTED = 'the greatest staleness of an answer, such as 30s, from 1s to 1h';

/** The staleness in milliseconds, or undefined if the text is none. */
export function parseStaleness(text: string): number | undefined {
  const staleness = parseDuration(text);
  if (staleness === undefined || staleness < SHORTEST_MS || staleness > LONGEST_MS) return undefined;
  return Math.floor(staleness);
}

/** How stale an answer of this store from Envoy may be, in milliseconds; undefined: Envoy gives none. */
export function answerStaleness({ primitive, metadata }: ComponentConfig): number | undefined {
  if (primitive !== 'configuration') return undefined;
  return parseStaleness(metadataValue(metadata, ANSWER_IN_ENVOY_KEY) ?? '');
}
