import * as z from 'zod';

import { ANSWER_IN_ENVOY_EXPECTED, parseStaleness } from '../../config/answer-in-envoy.js';

/** The metadata key `answerInEnvoy`, which every configuration store has. The runtime heeds it, not the store. */
export function answerInEnvoySchema(): z.ZodType<string | undefined> {
  return z
    .string(`expected ${ANSWER_IN_ENVOY_EXPECTED}`)
    .refine(
      (text) => text === '' || parseStaleness(text) !== undefined,
      `expected ${ANSWER_IN_ENVOY_EXPECTED}`,
    )
    .optional()
    .describe('Answer reads out of Envoy, and how stale such an answer may be. Default: off.');
}
