import * as z from 'zod';

import { text } from '../fields.js';

/** Metadata of `file.local`. */
export const metadataSchema = z.strictObject({
  rootPath: text('a folder')
    .optional()
    .describe('Folder of the files, made if it is not there. Default `file/<name>` in the data folder.'),
});
