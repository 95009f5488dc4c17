import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { startNats } from '../support/nats-server.js';
import { ClusterServers } from '../support/cluster-servers.js';
import { SentinelServers } from '../support/sentinel-servers.js';
import { startStore } from '../support/store-servers.js';
import { pubsubConformance } from './pubsub.js';
import type { PubSubBackend } from './pubsub.js';

/** Soon enough for tests. */
const SOON = { processingTimeout: '300ms', redeliverInterval: '100ms' };

pubsubConformance({ backend: 'embedded', setup: 'one process' }, async () => {
  const path = await mkdtemp(join(tmpdir(), 'pubsub-'));
  return {
    type: 'pubsub.embedded',
    metadata: { path, redeliverInterval: '300ms' },
    persisted: true,
    stop: () => rm(path, { recursive: true, force: true }),
  };
});

/** One server, with every write on its disk. */
async function server(kind: 'redis' | 'valkey'): Promise<PubSubBackend> {
  const dir = await mkdtemp(join(tmpdir(), 'streams-'));
  const args = ['--dir', dir, '--appendonly', 'yes', '--appendfsync', 'always'];
  let store = await startStore(kind, args);
  return {
    type: 'pubsub.redis',
    metadata: { redisHost: `127.0.0.1:${store.port}`, ...SOON },
    persisted: true,
    // The Redis that tests use is older than 7.
    estimates: kind === 'redis',
    async restart() {
      const { port } = store;
      await store.stop();
      store = await startStore(kind, args, port);
    },
    async stop() {
      await store.stop();
      await rm(dir, { recursive: true, force: true });
    },
  };
}

pubsubConformance({ backend: 'redis', setup: 'Redis' }, () => server('redis'));
pubsubConformance({ backend: 'redis', setup: 'Valkey' }, () => server('valkey'));

pubsubConformance({ backend: 'redis', setup: 'Valkey by Sentinel' }, async () => {
  const servers = await SentinelServers.start({ passwords: { servers: 'one', sentinels: 'another' } });
  return {
    type: 'pubsub.redis',
    metadata: { ...servers.metadata, ...SOON },
    persisted: false,
    stop: () => servers.stop(),
  };
});

pubsubConformance({ backend: 'redis', setup: 'Valkey Cluster' }, async () => {
  const servers = await ClusterServers.start({ password: 'one' });
  return {
    type: 'pubsub.redis',
    metadata: { ...servers.metadata, ...SOON },
    persisted: false,
    stop: () => servers.stop(),
  };
});

pubsubConformance({ backend: 'nats', setup: 'one server' }, async () => {
  const server = await startNats({ config: 'max_payload: 8MB' });
  return {
    type: 'pubsub.jetstream',
    metadata: { natsURL: server.url, ackWait: '1s', redeliverInterval: '300ms' },
    persisted: true,
    restart: async () => {
      await server.kill();
      await server.restart();
    },
    stop: () => server.stop(),
  };
});
