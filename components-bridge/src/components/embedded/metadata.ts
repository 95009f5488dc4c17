import * as z from 'zod';

import { parseBytes } from '../../config/units.js';
import { answerInEnvoySchema } from '../../primitives/configuration/metadata.js';
import { lockKeyPrefix } from '../../primitives/lock/metadata.js';
import { keyPrefixSchema } from '../../primitives/state/metadata.js';
import { duration, read, text, whole } from '../fields.js';
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

/** Metadata of `pubsub.embedded`. */
export const pubsubMetadataSchema = z.strictObject({
  path: pathSchema('pubsub'),
  consumerID: text('a name')
    .max(1_000, 'expected at most 1000 characters')
    .optional()
    .describe('Whose messages are delivered: those of a name share them. Default: the app id.'),
  redeliverInterval: duration().describe(
    'Pause before a message is delivered again. It doubles each time, up to a minute. Default 1s.',
  ),
  maxLength: whole(1, 999_999_999).describe(
    'Messages that a topic keeps, at most; then publishing fails. Default 100000.',
  ),
  maxBytes: read('bytes such as 512MiB', parseBytes).describe(
    'What all topics keep, at most; then publishing fails. Default 1GiB.',
  ),
  maxAge: duration().describe(
    'How long a message is kept that not every group has acknowledged. 0: for good. Default 168h.',
  ),
});
