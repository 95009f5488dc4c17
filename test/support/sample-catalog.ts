import { z } from 'zod';

import type { CatalogEntry } from '../../components-bridge/src/config/types.js';

/** Two component types, for tests of the configuration that must not depend on the real ones. */
export const sampleCatalog: readonly CatalogEntry[] = [
  {
    type: 'state.redis',
    primitive: 'state',
    capabilities: ['ETAG', 'TRANSACTIONAL', 'TTL'],
    metadata: z.strictObject({
      redisHost: z.string('expected the address of Redis, such as localhost:6379').min(1),
      redisPassword: z
        .string()
        .regex(/^[^ ]*$/, 'expected a password without spaces')
        .optional(),
      redisDB: z
        .string()
        .regex(/^\d{1,2}$/, 'expected a number from 0 to 15')
        .optional(),
      enableTLS: z.enum(['true', 'false']).optional(),
      keyPrefix: z.string().optional(),
    }),
  },
  {
    type: 'state.embedded',
    aliases: ['in-memory', 'state.in-memory'],
    primitive: 'state',
    capabilities: ['ETAG', 'TRANSACTIONAL', 'TTL'],
    metadata: z.strictObject({ path: z.string().optional() }),
  },
];
