import { ClusterServers } from '../support/cluster-servers.js';
import { SentinelServers } from '../support/sentinel-servers.js';
import { startStore } from '../support/store-servers.js';
import { pem, TlsFront } from '../support/tls-front.js';
import { stateConformance } from './state.js';
import type { Backend } from './state.js';

async function overTls(): Promise<Backend> {
  const server = await startStore('valkey');
  const front = await TlsFront.start(server.port);
  const redisHost = `127.0.0.1:${front.port}`;
  return {
    options: { type: 'state.redis', metadata: { redisHost, enableTLS: 'true', caCert: pem('ca.pem') } },
    shared: true,
    stop: async () => {
      await front.stop();
      await server.stop();
    },
  };
}

async function bySentinel(): Promise<Backend> {
  const servers = await SentinelServers.start({ passwords: { servers: 'one', sentinels: 'another' } });
  return {
    options: { type: 'state.redis', metadata: servers.metadata },
    shared: true,
    stop: () => servers.stop(),
  };
}

async function cluster(): Promise<Backend> {
  const servers = await ClusterServers.start({ password: 'one' });
  return {
    options: { type: 'state.redis', metadata: servers.metadata },
    shared: true,
    stop: () => servers.stop(),
  };
}

const ALL = ['ETAG', 'TRANSACTIONAL', 'TTL'] as const;

stateConformance({ backend: 'redis', setup: 'Valkey over TLS' }, overTls, ALL);
stateConformance({ backend: 'redis', setup: 'Valkey by Sentinel' }, bySentinel, ALL);
stateConformance({ backend: 'redis', setup: 'Valkey Cluster' }, cluster, ALL, { hashTags: true });
