import { z } from 'zod';

import type { CatalogEntry, RuntimeConfig } from '../components-bridge/src/config/types.js';
import { renderBootstrap } from './bootstrap.js';
import { toDocuments } from './helm-chart.js';
import { renderEnvoyFilter } from './istio/envoyfilter.js';
import { renderTrafficExtension, renderWasmPlugin } from './istio/extensions.js';
import { DEFAULT_RESOURCES, MANIFEST_DEFAULTS, renderDaemonSet, renderSidecar } from './istio/manifests.js';
import { toYaml } from './yaml.js';

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
    'trafficextension.yaml': toDocuments(renderTrafficExtension(SAMPLE_CONFIG, inMesh)),
    'wasmplugin.yaml': toDocuments(renderWasmPlugin(SAMPLE_CONFIG, inMesh)),
    ...renderManifestSamples(),
  };
}

/** What the samples of the bridge's manifests are made of. */
const SHOP = `app: {id: shop}
components:
  - {name: statestore, type: state.redis, metadata: {redisHost: 'redis.shop:6379'}}
`;
const BILLING = `app: {id: billing}
components:
  - {name: statestore, type: state.redis, metadata: {redisHost: 'redis.billing:6379'}}
`;
const BRIDGE = {
  image: 'registry.example/layotto/bridge:0.1.0',
  socketGroup: MANIFEST_DEFAULTS.socketGroup,
  adminPort: MANIFEST_DEFAULTS.adminPort,
};

/** The bridge in a cluster, and the chart's values that make the same of it. */
function renderManifestSamples(): Record<string, string> {
  const apps = { 'billing.yaml': BILLING, 'shop.yaml': SHOP };
  const image = { repository: 'registry.example/layotto/bridge', tag: '0.1.0' };
  const sidecar = { app: 'shop', appImage: 'registry.example/shop:1', config: SHOP };
  return {
    'bridge-daemonset.yaml': toDocuments(
      renderDaemonSet({
        ...BRIDGE,
        namespace: MANIFEST_DEFAULTS.namespace.daemonset,
        hostPath: MANIFEST_DEFAULTS.hostPath,
        resources: DEFAULT_RESOURCES.daemonset,
        apps,
      }),
    ),
    'bridge-daemonset.values.yaml': toYaml({ form: 'daemonset', image, daemonset: { apps } }),
    'bridge-sidecar.yaml': toDocuments(
      renderSidecar({ ...BRIDGE, ...sidecar, namespace: 'shop', resources: DEFAULT_RESOURCES.sidecar }),
    ),
    'bridge-sidecar.values.yaml': toYaml({ form: 'sidecar', image, sidecar }),
  };
}
