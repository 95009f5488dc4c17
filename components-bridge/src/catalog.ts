import * as embedded from './components/embedded/metadata.js';
import * as redis from './components/redis/metadata.js';
import type { ComponentType } from './primitives/component.js';

/**
 * Every component type that this version serves. Cheap to import: a backend's client is imported by `load` only.
 */
export const catalog: readonly ComponentType[] = [
  {
    type: 'state.embedded',
    aliases: ['state.in-memory', 'in-memory'],
    primitive: 'state',
    capabilities: ['ETAG', 'TRANSACTIONAL', 'TTL'],
    metadata: embedded.metadataSchema,
    load: () => import('./components/embedded/state.js'),
  },
  {
    type: 'state.redis',
    aliases: ['redis'],
    primitive: 'state',
    capabilities: ['ETAG', 'TRANSACTIONAL', 'TTL'],
    metadata: redis.metadataSchema,
    load: () => import('./components/redis/state.js'),
  },
];
