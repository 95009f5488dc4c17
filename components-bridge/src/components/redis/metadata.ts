import { z } from 'zod';

import { NEAR_CACHE_EXPECTED, parseNearCacheAge } from '../../config/near-cache.js';
import { parseTtl } from '../../primitives/state/ttl.js';
import { keyPrefixSchema } from '../../primitives/state/metadata.js';
import { parseGoDuration } from './durations.js';

/** Longest pause or wait that can be configured: an hour. Timers overflow at 24 days. */
const LONGEST_MS = 3_600_000;

function text(what: string): z.ZodString {
  return z.string(`expected ${what}`);
}

function read<Value>(
  expected: string,
  parse: (text: string) => Value | undefined,
): z.ZodType<Value | undefined> {
  return z
    .string(`expected ${expected}`)
    .transform((value, context): Value | undefined => {
      if (value === '') return undefined;
      const parsed = parse(value);
      if (parsed === undefined)
        context.issues.push({ code: 'custom', message: `expected ${expected}`, input: value });
      return parsed;
    })
    .optional();
}

function whole(lowest: number, highest: number): z.ZodType<number | undefined> {
  return read(`a whole number from ${lowest} to ${highest}`, (value) => {
    const number = /^\d{1,9}$/.test(value) ? Number(value) : NaN;
    return number >= lowest && number <= highest ? number : undefined;
  });
}

function duration(): z.ZodType<number | undefined> {
  return read('a duration such as 5s or 500ms, or milliseconds, up to 1h', (value) => {
    const ms = parseGoDuration(value);
    return ms !== undefined && ms <= LONGEST_MS ? ms : undefined;
  });
}

/** Go's spellings, as Dapr and Layotto take them. */
function flag(expected = 'true or false'): z.ZodType<boolean | undefined> {
  return read(expected, (value) =>
    /^(1|t|true|y|yes|on)$/i.test(value) ? true : /^(0|f|false|n|no|off)$/i.test(value) ? false : undefined,
  );
}

function only(accepted: string, expected: string): z.ZodType<string | undefined> {
  return read(expected, (value) => (value.toLowerCase() === accepted ? value : undefined));
}

/** Where a Redis listens. */
export interface RedisAddress {
  host: string;
  port: number;
}

/** `host`, `host:port`, `[::1]:port` or a bare IPv6 address. */
export function parseRedisHost(value: string): RedisAddress | undefined {
  const match =
    /^\[([0-9a-f:.]+)\](?::(\d{1,5}))?$/i.exec(value) ??
    /^([0-9a-f]*:[0-9a-f:.]*:[0-9a-f.]*)$/i.exec(value) ??
    /^([^\s:,/[\]]+)(?::(\d{1,5}))?$/.exec(value);
  const host = match?.[1];
  const port = match?.[2] === undefined ? 6379 : Number(match[2]);
  return host !== undefined && port >= 1 && port <= 65535 ? { host, port } : undefined;
}

const redisHost = text('host:port, the address of one Redis server').transform(
  (value, context): RedisAddress => {
    const parsed = parseRedisHost(value.trim());
    if (parsed !== undefined) return parsed;
    context.issues.push({
      code: 'custom',
      message: 'expected host:port, the address of one Redis server',
      input: value,
    });
    return z.NEVER;
  },
);

/** How to reach a Redis: shared by every primitive served from it. Dapr's and Layotto's keys. */
export const connectionShape = {
  redisHost: redisHost.describe('Address, host:port.'),
  redisUsername: text('a user name').optional().describe('ACL user; Redis 6 or newer.'),
  redisPassword: text('a password').optional().describe('Password.'),
  redisDB: whole(0, 99_999).describe('Database number. Default 0.'),
  db: whole(0, 99_999).describe('The same as redisDB.'),
  enableTLS: flag().describe('Speak TLS, and check the certificate. Default false.'),
  dialTimeout: duration().describe('How long connecting may take. Default 5s.'),
  readTimeout: duration().describe(
    'How long an answer may take before the connection counts as lost. Default 3s.',
  ),
  writeTimeout: duration().describe('Accepted; readTimeout covers it.'),
  maxRetries: whole(0, 1_000_000).describe('Accepted; failed commands are not repeated here.'),
  redisMaxRetries: whole(0, 1_000_000).describe('The same as maxRetries.'),
  maxRetryBackoff: duration().describe('Longest pause between tries to reconnect. Default 2s.'),
  redisMaxRetryInterval: duration().describe('The same as maxRetryBackoff.'),
  redisType: only('node', 'node, one server: clusters are not served by this version'),
  failover: only('false', 'false: Sentinel is not served by this version'),
};

/** Metadata of `state.redis`. */
export const metadataSchema = z
  .strictObject({
    ...connectionShape,
    ttlInSeconds: read('whole seconds, 0 or less for never', parseTtl).describe(
      'Expiry of values saved without one of their own. Default: none.',
    ),
    keyPrefix: keyPrefixSchema(),
    nearCacheMaxAge: read(NEAR_CACHE_EXPECTED, parseNearCacheAge).describe(
      'Keep answers to eventual reads in Envoy, up to this age. Default: off.',
    ),
  })
  .superRefine(({ redisDB, db }, context) => {
    if (redisDB === undefined || db === undefined || redisDB === db) return;
    context.addIssue({
      code: 'custom',
      path: ['db'],
      message: 'expected the same number as redisDB, or only one of them',
    });
  });

export type RedisStateMetadata = z.output<typeof metadataSchema>;
export type RedisConnectionMetadata = Pick<RedisStateMetadata, keyof typeof connectionShape>;
