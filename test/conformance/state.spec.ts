import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { startEtcd } from '../support/etcd-server.js';
import { startStore } from '../support/store-servers.js';
import { stateConformance } from './state.js';
import type { Backend } from './state.js';

async function embedded(): Promise<Backend> {
  const dataDir = await mkdtemp(join(tmpdir(), 'embedded-'));
  return {
    options: { type: 'state.embedded', dataDir },
    // One process owns the files.
    shared: false,
    stop: () => rm(dataDir, { recursive: true, force: true }),
  };
}

async function server(kind: 'redis' | 'valkey'): Promise<Backend> {
  const started = await startStore(kind);
  return {
    options: { type: 'state.redis', metadata: { redisHost: `127.0.0.1:${started.port}` } },
    shared: true,
    stop: () => started.stop(),
  };
}

async function etcd(): Promise<Backend> {
  const started = await startEtcd();
  return {
    options: { type: 'state.etcd', metadata: { endpoints: started.address } },
    shared: true,
    stop: () => started.stop(),
  };
}

const ALL = ['ETAG', 'TRANSACTIONAL', 'TTL'] as const;

stateConformance({ backend: 'embedded', setup: 'one process' }, embedded, ALL);
stateConformance({ backend: 'redis', setup: 'Redis' }, () => server('redis'), ALL);
stateConformance({ backend: 'redis', setup: 'Valkey' }, () => server('valkey'), ALL);
stateConformance({ backend: 'etcd', setup: 'one member' }, etcd, ALL, { revisions: true, operations: 126 });
