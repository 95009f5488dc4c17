import * as z from 'zod';

import * as apollo from './components/apollo/metadata.js';
import * as embedded from './components/embedded/metadata.js';
import * as etcd from './components/etcd/metadata.js';
import * as helloworld from './components/helloworld/metadata.js';
import * as http from './components/http/metadata.js';
import * as kafka from './components/kafka/metadata.js';
import * as local from './components/local/metadata.js';
import * as localenv from './components/localenv/metadata.js';
import * as localfile from './components/localfile/metadata.js';
import * as localstorage from './components/localstorage/metadata.js';
import * as mounted from './components/mounted/metadata.js';
import * as nats from './components/nats/metadata.js';
import * as redis from './components/redis/metadata.js';
import type { open as openOwn } from './components/external/module.js';
import type { ComponentConfig } from './config/types.js';
import type { ComponentModule, ComponentType } from './primitives/component.js';

/** A broker that cannot delay messages by itself; what does it instead is loaded with it. */
function withDelays(load: () => Promise<ComponentModule>): () => Promise<ComponentModule> {
  return async () => {
    const { delaying } = await import('./components/embedded/delaying.js');
    return delaying(load)();
  };
}

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
    type: 'state.etcd',
    aliases: ['etcd'],
    primitive: 'state',
    capabilities: ['ETAG', 'TRANSACTIONAL', 'TTL'],
    metadata: etcd.stateMetadataSchema,
    load: () => import('./components/etcd/state.js'),
  },
  {
    type: 'state.redis',
    aliases: ['redis'],
    primitive: 'state',
    capabilities: ['ETAG', 'TRANSACTIONAL', 'TTL'],
    metadata: redis.metadataSchema,
    load: () => import('./components/redis/state.js'),
  },
  {
    type: 'configuration.apollo',
    aliases: ['apollo'],
    primitive: 'configuration',
    capabilities: [],
    metadata: apollo.metadataSchema,
    load: () => import('./components/apollo/configuration.js'),
  },
  {
    type: 'configuration.embedded',
    aliases: ['configuration.in-memory', 'in-memory'],
    primitive: 'configuration',
    capabilities: [],
    metadata: embedded.configurationMetadataSchema,
    load: () => import('./components/embedded/configuration.js'),
  },
  {
    type: 'configuration.etcd',
    aliases: ['etcd'],
    primitive: 'configuration',
    capabilities: [],
    metadata: etcd.configurationMetadataSchema,
    load: () => import('./components/etcd/configuration.js'),
  },
  {
    type: 'configuration.redis',
    aliases: ['redis'],
    primitive: 'configuration',
    capabilities: [],
    metadata: redis.configurationMetadataSchema,
    load: () => import('./components/redis/configuration.js'),
  },
  {
    type: 'bindings.http',
    aliases: ['http'],
    primitive: 'binding',
    capabilities: [],
    metadata: http.metadataSchema,
    load: () => import('./components/http/binding.js'),
  },
  {
    type: 'bindings.localstorage',
    aliases: ['localstorage'],
    primitive: 'binding',
    capabilities: [],
    metadata: localstorage.metadataSchema,
    load: () => import('./components/localstorage/binding.js'),
  },
  {
    type: 'file.local',
    aliases: ['local'],
    primitive: 'file',
    capabilities: [],
    metadata: local.metadataSchema,
    load: () => import('./components/local/file.js'),
  },
  {
    type: 'hello.helloworld',
    aliases: ['helloworld'],
    primitive: 'hello',
    capabilities: [],
    metadata: helloworld.metadataSchema,
    load: () => import('./components/helloworld/hello.js'),
  },
  {
    type: 'lock.embedded',
    aliases: ['lock.in-memory', 'in-memory'],
    primitive: 'lock',
    capabilities: [],
    metadata: embedded.lockMetadataSchema,
    load: () => import('./components/embedded/lock.js'),
  },
  {
    type: 'lock.etcd',
    aliases: ['etcd'],
    primitive: 'lock',
    capabilities: [],
    metadata: etcd.lockMetadataSchema,
    load: () => import('./components/etcd/lock.js'),
  },
  {
    type: 'lock.redis',
    aliases: ['redis'],
    primitive: 'lock',
    capabilities: [],
    metadata: redis.lockMetadataSchema,
    load: () => import('./components/redis/lock.js'),
  },
  {
    type: 'lock.redis_cluster',
    aliases: ['redis_cluster'],
    primitive: 'lock',
    capabilities: [],
    metadata: redis.clusterLockMetadataSchema,
    load: () => import('./components/redis/lock-cluster.js'),
  },
  {
    type: 'pubsub.embedded',
    aliases: ['pubsub.in-memory', 'in-memory'],
    primitive: 'pubsub',
    capabilities: [],
    metadata: embedded.pubsubMetadataSchema,
    load: () => import('./components/embedded/pubsub.js'),
  },
  {
    type: 'pubsub.redis',
    aliases: ['redis'],
    primitive: 'pubsub',
    capabilities: [],
    metadata: redis.pubsubMetadataSchema,
    load: withDelays(() => import('./components/redis/pubsub.js')),
  },
  {
    type: 'pubsub.jetstream',
    aliases: ['jetstream', 'nats'],
    primitive: 'pubsub',
    capabilities: [],
    metadata: nats.metadataSchema,
    load: withDelays(() => import('./components/nats/pubsub.js')),
  },
  {
    type: 'pubsub.kafka',
    aliases: ['kafka'],
    primitive: 'pubsub',
    capabilities: [],
    metadata: kafka.metadataSchema,
    load: withDelays(() => import('./components/kafka/pubsub.js')),
  },
  {
    type: 'sequencer.embedded',
    aliases: ['sequencer.in-memory', 'in-memory'],
    primitive: 'sequencer',
    capabilities: [],
    metadata: embedded.sequencerMetadataSchema,
    load: () => import('./components/embedded/sequencer.js'),
  },
  {
    type: 'sequencer.etcd',
    aliases: ['etcd'],
    primitive: 'sequencer',
    capabilities: [],
    metadata: etcd.sequencerMetadataSchema,
    load: () => import('./components/etcd/sequencer.js'),
  },
  {
    type: 'sequencer.redis',
    aliases: ['redis'],
    primitive: 'sequencer',
    capabilities: [],
    metadata: redis.sequencerMetadataSchema,
    load: () => import('./components/redis/sequencer.js'),
  },
  {
    type: 'secretstores.local.env',
    aliases: ['secret.local.env'],
    primitive: 'secret',
    capabilities: [],
    metadata: localenv.metadataSchema,
    load: () => import('./components/localenv/secret.js'),
  },
  {
    type: 'secretstores.local.file',
    aliases: ['secret.local.file'],
    primitive: 'secret',
    capabilities: [],
    metadata: localfile.metadataSchema,
    load: () => import('./components/localfile/secret.js'),
  },
  {
    type: 'secretstores.mounted',
    aliases: ['mounted'],
    primitive: 'secret',
    capabilities: [],
    metadata: mounted.metadataSchema,
    load: () => import('./components/mounted/secret.js'),
  },
];

/**
 * The type of a component whose primitive is none of the runtime's own; undefined for any other.
 *
 * @param messageBytes largest message
 */
export function ownType(config: ComponentConfig, messageBytes: number): ComponentType | undefined {
  const { own, type, primitive } = config;
  if (own === undefined) return undefined;
  const load = (): Promise<{ open: typeof openOwn }> =>
    own.socket === undefined
      ? import('./components/external/module.js')
      : import('./components/external/process.js');
  return {
    type,
    primitive,
    capabilities: [],
    metadata: z.record(z.string(), z.string()),
    load: async () => {
      const { open } = await load();
      return { open: (context) => open({ own, messageBytes }, context) };
    },
  };
}
