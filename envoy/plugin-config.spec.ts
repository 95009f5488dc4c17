import { createHash } from 'node:crypto';

import { configHash } from '../components-bridge/src/config/hash.js';
import { sampleCatalog } from '../test/support/sample-catalog.js';
import { pluginConfiguration } from './plugin-config.js';
import { SAMPLE_CONFIG } from './samples.js';

const options = { version: '1.2.3', hold: false, apiTokens: [], catalog: sampleCatalog };

describe('the plugin configuration', () => {
  it('holds what the filter needs, and no metadata of components', () => {
    expect(pluginConfiguration(SAMPLE_CONFIG, options)).toEqual({
      version: '1.2.3',
      configVersion: configHash(SAMPLE_CONFIG),
      app: { id: 'shop', port: 8080, protocol: 'http' },
      clusters: { session: 'layotto_session', large: 'layotto_session_large' },
      hold: false,
      limits: {
        messageBytes: 4194304,
        operations: 1024,
        streams: 100,
        bytes: 67108864,
        cacheBytes: 8388608,
        deadlineMs: 15000,
      },
      hosts: ['runtime.local'],
      tokens: [],
      components: [
        {
          name: 'statestore',
          type: 'state.redis',
          version: 'v1',
          primitive: 'state',
          capabilities: ['ETAG', 'TRANSACTIONAL', 'TTL'],
        },
      ],
      invoke: { callees: [], namespace: 'default' },
    });
  });

  it('says whom the app may invoke, and nothing of where they are', () => {
    const to = [{ host: '10.0.0.1', port: 80 }];
    const config = {
      ...SAMPLE_CONFIG,
      app: { ...SAMPLE_CONFIG.app, namespace: 'shops' },
      callees: {
        orders: { to },
        quick: { to, timeoutMs: 500 },
        speaks: { to, protocol: 'grpc' as const },
        web: { to, endpoint: { authority: '10.0.0.1', path: '/api', headers: { key: 'secret' } } },
      },
      invoke: { pattern: { kind: 'dns' as const, text: '{app}.{namespace}:{port}' }, port: 8080 },
    };
    const { invoke } = pluginConfiguration(config, options);
    expect(invoke).toEqual({
      callees: [
        { name: 'orders' },
        { name: 'quick', timeoutMs: 500 },
        { name: 'speaks', grpc: true },
        { name: 'web', endpoint: true },
      ],
      namespace: 'shops',
      pattern: { text: '{app}.{namespace}:8080', dns: true },
    });
    expect(JSON.stringify(invoke)).not.toMatch(/10\.0\.0\.1|secret/);
  });

  it('shows tokens only as their SHA-256', () => {
    const found = pluginConfiguration(SAMPLE_CONFIG, { ...options, apiTokens: ['', 'open sesame', 'ü'] });
    const hashes = ['open sesame', 'ü'].map((token) =>
      createHash('sha256').update(token, 'utf8').digest('hex'),
    );
    expect(found.tokens).toEqual(hashes);
    expect(JSON.stringify(found)).not.toContain('sesame');
  });

  it('says how stale configuration may be that Envoy answers', () => {
    const [state] = SAMPLE_CONFIG.components;
    const store = (metadata: Record<string, string>) => ({ ...state!, primitive: 'configuration', metadata });
    const components = [store({ answerInEnvoy: '5s' }), store({})];
    const found = pluginConfiguration({ ...SAMPLE_CONFIG, components }, options).components;
    expect(found.map(({ answerInEnvoyMs }) => answerInEnvoyMs)).toEqual([5_000, undefined]);
  });

  it('says which components give ids in runs', () => {
    const [state] = SAMPLE_CONFIG.components;
    const sequencer = (metadata: Record<string, string>) => ({ ...state!, primitive: 'sequencer', metadata });
    const components = [
      sequencer({ segmentCacheEnable: 'true' }),
      sequencer({ segmentCacheEnable: 'false', segmentStep: '5' }),
      sequencer({}),
    ];
    const found = pluginConfiguration({ ...SAMPLE_CONFIG, components }, options);
    expect(found.components.map(({ segments }) => segments)).toEqual([true, undefined, undefined]);
  });

  it('gives a type that the catalog lacks no capabilities', () => {
    const found = pluginConfiguration(SAMPLE_CONFIG, { ...options, catalog: [] });
    expect(found.components[0]?.capabilities).toEqual([]);
  });
});
