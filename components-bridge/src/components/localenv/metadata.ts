import * as z from 'zod';

import { text } from '../fields.js';

/** Metadata of `secretstores.local.env`. */
export const metadataSchema = z.strictObject({
  prefix: text('a text')
    .optional()
    .describe('Only variables that begin with it, which names of secrets leave out. Default: all variables.'),
});
