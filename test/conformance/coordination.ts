import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { ClusterServers } from '../support/cluster-servers.js';
import type { RoomComponent } from '../support/rooms.js';
import { SentinelServers } from '../support/sentinel-servers.js';
import { startStore } from '../support/store-servers.js';

/** A backend that locks or ids are tested on. */
export interface CoordinationBackend {
  /** The component, without its name. Components of these settings share what they keep, whichever bridge has them. */
  component: Omit<RoomComponent, 'name'>;
  /** Another store of the same backend, which shares nothing with it. */
  other: Omit<RoomComponent, 'name'>;
  stop(): Promise<void>;
}

/** The embedded store, in a folder of its own. */
export async function embedded(type: string): Promise<CoordinationBackend> {
  const path = await mkdtemp(join(tmpdir(), 'embedded-'));
  return {
    component: { type, metadata: { path } },
    other: { type, metadata: { path: join(path, 'other') } },
    stop: () => rm(path, { recursive: true, force: true }),
  };
}

/** Two stores on one server, told apart by what stands before their keys. */
function stores(type: string, metadata: Record<string, string>): Omit<CoordinationBackend, 'stop'> {
  return {
    component: { type, metadata },
    other: { type, metadata: { ...metadata, keyPrefix: 'name' } },
  };
}

/** A Redis or Valkey of its own. */
export async function server(type: string, kind: 'redis' | 'valkey'): Promise<CoordinationBackend> {
  const started = await startStore(kind);
  return {
    ...stores(type, { redisHost: `127.0.0.1:${started.port}` }),
    stop: () => started.stop(),
  };
}

/** A primary with a replica, by Sentinel. */
export async function bySentinel(type: string): Promise<CoordinationBackend> {
  const servers = await SentinelServers.start({ passwords: { servers: 'one', sentinels: 'another' } });
  return { ...stores(type, servers.metadata), stop: () => servers.stop() };
}

/** A cluster of its own. */
export async function cluster(type: string): Promise<CoordinationBackend> {
  const servers = await ClusterServers.start({ password: 'one' });
  const { redisType: _, ...rest } = servers.metadata;
  return {
    ...stores(type, type === 'lock.redis_cluster' ? rest : servers.metadata),
    stop: () => servers.stop(),
  };
}
