import { z } from 'zod';

import type { CatalogEntry, RuntimeConfig } from '../components-bridge/src/config/types.js';
import { renderBootstrap, toYaml } from './bootstrap.js';
import type { EnvoyObject } from './names.js';
import { renderEnvoyFilter } from './istio/envoyfilter.js';
import { renderTrafficExtension, renderWasmPlugin } from './istio/extensions.js';

/** The configuration of the examples in `rendered/`: fixed, so that they change only when the generator does. */
export const SAMPLE_CONFIG: RuntimeConfig = {
  source: 'layotto.yaml',
  app: { id: 'shop', port: 8080, protocol: 'http' },
  listen: {
    host: '127.0.0.1',
    port: 34904,
    unixSocket: '/var/lib/layotto/app.sock',
    actuator: { host: '0.0.0.0', port: 34999 },
    hosts: ['runtime.local'],
  },
  dataDir: '/var/lib/layotto',
  limits: {
    messageBytes: 4 * 1024 * 1024,
    operations: 1024,
    streams: 100,
    bytes: 64 * 1024 * 1024,
    cacheBytes: 8_388_608,
    deadlineMs: 15_000,
  },
  envoy: { concurrency: 2, metricsPort: 34903 },
  modules: { slots: 0 },
  outbound: [],
  lifecycle: { apply: true },
  components: [
    {
      name: 'statestore',
      type: 'state.redis',
      version: 'v1',
      primitive: 'state',
      form: 'native',
      metadata: { redisHost: 'localhost:6379' },
      origin: { file: 'layotto.yaml', line: 5 },
    },
  ],
};

const SAMPLE_CATALOG: readonly CatalogEntry[] = [
  {
    type: 'state.redis',
    primitive: 'state',
    capabilities: ['ETAG', 'TRANSACTIONAL', 'TTL'],
    metadata: z.record(z.string(), z.string()),
  },
];

/** A few of them, so that the examples do not change with every function that the module comes to need. */
const SAMPLE_CAPABILITIES = ['proxy_log', 'proxy_on_configure', 'proxy_on_request_headers'];

const SAMPLE_PLUGIN = {
  version: '0.1.0',
  apiTokens: [],
  catalog: SAMPLE_CATALOG,
  capabilities: SAMPLE_CAPABILITIES,
};

const IMAGE = { url: 'oci://registry.example/layotto/runtime:0.1.0', sha256: '5f'.repeat(32) };

/** Documents of one YAML file. */
function documents(resources: readonly EnvoyObject[]): string {
  return resources.map(toYaml).join('---\n');
}

/** The examples: contents by file name. */
export function renderSamples(): Record<string, string> {
  const standalone = renderBootstrap(SAMPLE_CONFIG, {
    ...SAMPLE_PLUGIN,
    hold: false,
    moduleFile: '/opt/layotto/runtime.wasm',
  });
  const inMesh = { ...SAMPLE_PLUGIN, namespace: 'shop', module: IMAGE };
  const envoyFilter = (hold: boolean) => toYaml(renderEnvoyFilter(SAMPLE_CONFIG, { ...inMesh, hold }));
  const tracing = { otlp: 'http://127.0.0.1:4318', sampling: 0.1 };
  const traced = renderBootstrap(
    { ...SAMPLE_CONFIG, tracing },
    { ...SAMPLE_PLUGIN, hold: false, moduleFile: '/opt/layotto/runtime.wasm', envoyVersion: '1.40.0' },
  );
  return {
    'bootstrap.yaml': toYaml(standalone.bootstrap),
    'bootstrap-tracing.yaml': toYaml(traced.bootstrap),
    ...standalone.extensionConfigs,
    'envoyfilter.yaml': envoyFilter(false),
    'envoyfilter-hold.yaml': envoyFilter(true),
    'trafficextension.yaml': documents(renderTrafficExtension(SAMPLE_CONFIG, inMesh)),
    'wasmplugin.yaml': documents(renderWasmPlugin(SAMPLE_CONFIG, inMesh)),
  };
}
