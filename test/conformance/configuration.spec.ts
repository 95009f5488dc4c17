import { startEtcd } from '../support/etcd-server.js';
import { startStore } from '../support/store-servers.js';
import { configurationConformance } from './configuration.js';
import type { ConfigurationBackend } from './configuration.js';
import { TcpProxy } from './tcp-proxy.js';

const DEFAULTS = { group: 'default', label: 'default' };

interface Started {
  port: number;
  stop(): Promise<void>;
}

/** A server whose connection can be lost. @param at a component that uses the server on this port */
async function behindProxy(
  server: Started,
  at: (port: number) => ConfigurationBackend['component'],
): Promise<ConfigurationBackend> {
  const proxy = await TcpProxy.start(server.port);
  return {
    component: at(proxy.port),
    defaults: DEFAULTS,
    connection: {
      cut() {
        proxy.pointAt(0);
        proxy.cut();
      },
      restore: () => proxy.pointAt(server.port),
      direct: at(server.port),
    },
    async stop() {
      await proxy.stop();
      await server.stop();
    },
  };
}

async function redis(kind: 'redis' | 'valkey', args: readonly string[] = []): Promise<ConfigurationBackend> {
  return behindProxy(await startStore(kind, args), (port) => {
    return { type: 'configuration.redis', metadata: { redisHost: `127.0.0.1:${port}` } };
  });
}

async function etcd(): Promise<ConfigurationBackend> {
  return behindProxy(await startEtcd(), (port) => {
    return { type: 'configuration.etcd', metadata: { endpoints: `127.0.0.1:${port}` } };
  });
}

configurationConformance({ backend: 'embedded', setup: 'one process' }, async () => {
  return { component: { type: 'configuration.embedded' }, defaults: DEFAULTS, stop: async () => undefined };
});

configurationConformance({ backend: 'redis', setup: 'Redis' }, () => redis('redis'));

configurationConformance({ backend: 'redis', setup: 'Valkey' }, () => redis('valkey'));

configurationConformance({ backend: 'redis', setup: 'without notifications' }, async () => {
  const backend = await redis('redis', ['--rename-command', 'CONFIG', '']);
  return { ...backend, noticeMs: 2_500 };
});

configurationConformance({ backend: 'etcd', setup: 'one member' }, etcd);
