import * as z from 'zod';

/** The metadata key that every state store has; see keys.ts for what it does. */
export function keyPrefixSchema(): z.ZodType<string | undefined> {
  return z
    .string('expected appid, name, namespace, none or a text of its own')
    .refine(
      (text) => !text.includes('||'),
      'expected a prefix without "||", which stands between prefix and key',
    )
    .optional()
    .describe('What stands before each key: appid, name, namespace, none, or any other text.');
}
