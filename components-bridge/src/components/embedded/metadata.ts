import * as z from 'zod';

import { answerInEnvoySchema } from '../../primitives/configuration/metadata.js';
import { lockKeyPrefix } from '../../primitives/lock/metadata.js';
import { keyPrefixSchema } from '../../primitives/state/metadata.js';
import { segmentShape, sequencerShape } from '../sequencer-fields.js';

function pathSchema(primitive: string): z.ZodOptional<z.ZodString> {
  return z
    .string('expected a folder')
    .min(1, 'expected a folder')
    .optional()
    .describe(`Folder of the store. Default: ${primitive}/<name> in the data folder.`);
}

/** Metadata of `state.embedded`. */
export const metadataSchema = z.strictObject({
  path: pathSchema('state'),
  keyPrefix: keyPrefixSchema(),
});

/** Metadata of `configuration.embedded`. */
export const configurationMetadataSchema = z.strictObject({
  path: pathSchema('configuration'),
  answerInEnvoy: answerInEnvoySchema(),
});

/** Metadata of `lock.embedded`. */
export const lockMetadataSchema = z.strictObject({
  path: pathSchema('lock'),
  keyPrefix: lockKeyPrefix(),
});

/** Metadata of `sequencer.embedded`. */
export const sequencerMetadataSchema = z.strictObject({
  path: pathSchema('sequencer'),
  ...sequencerShape,
  ...segmentShape,
});
