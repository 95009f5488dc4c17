import * as z from 'zod';

import { text } from '../fields.js';

/** Metadata of `hello.helloworld`. */
export const metadataSchema = z.strictObject({
  hello: text('a greeting').optional().describe('The greeting. Default `greeting`.'),
});
