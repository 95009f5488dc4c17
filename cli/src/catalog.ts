import { z } from 'zod';

import type { CatalogEntry } from '../../components-bridge/src/config/types.js';

/** The component types the bridge serves. */
export const catalog: readonly CatalogEntry[] = ['state.embedded', 'state.redis'].map((type) => ({
  type,
  primitive: 'state',
  capabilities: ['ETAG', 'TRANSACTIONAL', 'TTL'],
  metadata: z.record(z.string(), z.string()),
}));
