import * as z from 'zod';

import { text } from '../fields.js';

/** Metadata of `secretstores.mounted`. */
export const metadataSchema = z.strictObject({
  path: text('a folder')
    .min(1, 'expected a folder')
    .describe('The folder. A relative path counts against the folder that the runtime was started in.'),
});
