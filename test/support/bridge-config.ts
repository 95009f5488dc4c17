import type { ComponentConfig, RuntimeConfig } from '../../components-bridge/src/config/types.js';

/** A resolved configuration for a bridge that a test starts by itself. */
export function configuration(
  dataDir: string,
  components: readonly Pick<ComponentConfig, 'name' | 'type' | 'primitive' | 'metadata'>[],
): RuntimeConfig {
  return {
    source: 'test',
    app: { id: 'app', port: 0, protocol: 'http' },
    listen: { host: '127.0.0.1', port: 34904, hosts: [] },
    dataDir,
    limits: {
      messageBytes: 4_194_304,
      operations: 1024,
      bytes: 67_108_864,
      cacheBytes: 8_388_608,
      streams: 256,
      deadlineMs: 15_000,
    },
    envoy: { concurrency: 1, metricsPort: 0 },
    modules: { slots: 0 },
    outbound: [],
    lifecycle: { apply: true },
    components: components.map((component) => ({
      version: 'v1',
      form: 'native',
      origin: { file: 'test', line: 0 },
      ...component,
    })),
  };
}
