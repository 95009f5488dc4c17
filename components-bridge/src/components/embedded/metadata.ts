import { z } from 'zod';

import { answerInEnvoySchema } from '../../primitives/configuration/metadata.js';
import { keyPrefixSchema } from '../../primitives/state/metadata.js';

/** Metadata of `state.embedded`. */
export const metadataSchema = z.strictObject({
  path: z
    .string('expected a folder')
    .min(1, 'expected a folder')
    .optional()
    .describe('Folder of the store. Default: state/<name> in the data folder.'),
  keyPrefix: keyPrefixSchema(),
});

/** Metadata of `configuration.embedded`. */
export const configurationMetadataSchema = z.strictObject({
  path: z
    .string('expected a folder')
    .min(1, 'expected a folder')
    .optional()
    .describe('Folder of the store. Default: configuration/<name> in the data folder.'),
  answerInEnvoy: answerInEnvoySchema(),
});
