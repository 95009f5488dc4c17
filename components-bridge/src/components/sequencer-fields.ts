import type { z } from 'zod';

import {
  BIGGER_THAN_EXPECTED,
  parseBiggerThan,
  parseStep,
  SEGMENT_CACHE_KEY,
  SEGMENT_STEP_KEY,
  STEP_EXPECTED,
} from '../config/sequences.js';
import { lockKeyPrefix } from '../primitives/lock/metadata.js';
import { flag, read } from './fields.js';

/** Metadata of every sequencer. */
export const sequencerShape = {
  biggerThan: read(BIGGER_THAN_EXPECTED, parseBiggerThan).describe(
    'What ids must be greater than, by key, as JSON: {"orders": 1000}.',
  ),
  keyPrefix: lockKeyPrefix(),
} satisfies z.ZodRawShape;

/** Metadata of those that can give ids in runs. */
export const segmentShape = {
  [SEGMENT_CACHE_KEY]: flag().describe(
    'Let Envoy take ids in runs and answer WEAK calls with them itself. Default false.',
  ),
  [SEGMENT_STEP_KEY]: read(STEP_EXPECTED, parseStep).describe('How many ids a run has. Default 10000.'),
} satisfies z.ZodRawShape;
