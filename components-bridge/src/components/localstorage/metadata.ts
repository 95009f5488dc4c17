import * as z from 'zod';

import { text } from '../fields.js';

/** Metadata of `bindings.localstorage`. */
export const metadataSchema = z.strictObject({
  rootPath: text('a folder')
    .optional()
    .describe('Folder of the files, made if it is not there. Default `binding/<name>` in the data folder.'),
});
