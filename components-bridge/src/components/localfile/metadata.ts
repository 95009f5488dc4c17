import * as z from 'zod';

import { flag, text } from '../fields.js';

/** Metadata of `secretstores.local.file`. */
export const metadataSchema = z.strictObject({
  secretsFile: text('a file')
    .min(1, 'expected a file')
    .describe('The JSON file. A relative path counts against the folder that the runtime was started in.'),
  nestedSeparator: text('a text')
    .optional()
    .describe('What stands between the names of nested values. Default `:`.'),
  multiValued: flag().describe('Each value of the file is one secret, with several entries. Default false.'),
});
