import * as z from 'zod';

/** The metadata key `keyPrefix` of lock stores and sequencers; see keys.ts for what it does. */
export function lockKeyPrefix(): z.ZodType<string | undefined> {
  return z
    .string('expected appid, name, none or a text of its own')
    .refine(
      (text) => !text.includes('||'),
      'expected a prefix without "||", which stands between prefix and key',
    )
    .optional()
    .describe('What stands before each key: appid, name, none, or any other text. Default appid.');
}
