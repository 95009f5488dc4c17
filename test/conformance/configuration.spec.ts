import { startStore } from '../support/store-servers.js';
import { configurationConformance } from './configuration.js';
import type { ConfigurationBackend } from './configuration.js';
import { TcpProxy } from './tcp-proxy.js';

const DEFAULTS = { group: 'default', label: 'default' };

async function redis(kind: 'redis' | 'valkey', args: readonly string[] = []): Promise<ConfigurationBackend> {
  const server = await startStore(kind, args);
  const proxy = await TcpProxy.start(server.port);
  const at = (port: number): ConfigurationBackend['component'] => {
    return { type: 'configuration.redis', metadata: { redisHost: `127.0.0.1:${port}` } };
  };
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

configurationConformance({ backend: 'embedded', setup: 'one process' }, async () => {
  return { component: { type: 'configuration.embedded' }, defaults: DEFAULTS, stop: async () => undefined };
});

configurationConformance({ backend: 'redis', setup: 'Redis' }, () => redis('redis'));

configurationConformance({ backend: 'redis', setup: 'Valkey' }, () => redis('valkey'));

configurationConformance({ backend: 'redis', setup: 'without notifications' }, async () => {
  const backend = await redis('redis', ['--rename-command', 'CONFIG', '']);
  return { ...backend, noticeMs: 2_500 };
});
