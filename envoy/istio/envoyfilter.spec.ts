import { sampleCatalog } from '../../test/support/sample-catalog.js';
import { SAMPLE_CONFIG } from '../samples.js';
import { renderEnvoyFilter } from './envoyfilter.js';
import type { EnvoyFilterOptions } from './envoyfilter.js';
import { meshProblems } from './options.js';

const options: EnvoyFilterOptions = {
  version: '1.2.3',
  hold: false,
  apiTokens: ['t'],
  catalog: sampleCatalog,
  module: { file: '/var/layotto/runtime.wasm' },
};

interface Patch {
  applyTo: string;
  match: object;
  patch: { operation: string; value: Record<string, unknown> };
}

function patches(more: Partial<EnvoyFilterOptions> = {}, config = SAMPLE_CONFIG): Patch[] {
  const rendered = renderEnvoyFilter(config, { ...options, ...more });
  return (rendered['spec'] as { configPatches: Patch[] }).configPatches;
}

/** The filter's own config inside the extension config. */
function pluginOf(more: Partial<EnvoyFilterOptions> = {}): Record<string, unknown> {
  const value = patches(more).find(({ applyTo }) => applyTo === 'EXTENSION_CONFIG')?.patch.value;
  return (value?.['typed_config'] as { config: Record<string, unknown> }).config;
}

describe('the EnvoyFilter', () => {
  it('is for the pods of the app', () => {
    expect(renderEnvoyFilter(SAMPLE_CONFIG, options)).toMatchObject({
      apiVersion: 'networking.istio.io/v1alpha3',
      kind: 'EnvoyFilter',
      metadata: { name: 'layotto', namespace: 'default' },
      spec: { workloadSelector: { labels: { app: 'shop' } } },
    });
    const named = { name: 'runtime', namespace: 'prod', selector: { 'app.kubernetes.io/name': 'x' } };
    expect(renderEnvoyFilter(SAMPLE_CONFIG, { ...options, ...named })).toMatchObject({
      metadata: { name: 'runtime', namespace: 'prod' },
      spec: { workloadSelector: { labels: { 'app.kubernetes.io/name': 'x' } } },
    });
  });

  it('adds clusters, a listener on loopback and the config it waits for', () => {
    const found = patches();
    expect(found.map(({ applyTo, patch }) => [applyTo, patch.operation, patch.value['name']])).toEqual([
      ['CLUSTER', 'ADD', 'layotto_session'],
      ['CLUSTER', 'ADD', 'layotto_session_large'],
      ['CLUSTER', 'ADD', 'layotto_streams'],
      ['CLUSTER', 'ADD', 'layotto_none'],
      ['LISTENER', 'ADD', 'layotto_runtime'],
      ['LISTENER', 'ADD', 'layotto_actuator'],
      ['EXTENSION_CONFIG', 'ADD', 'layotto.runtime'],
    ]);
    expect(found.every(({ match }) => 'context' in match && match.context === 'SIDECAR_OUTBOUND')).toBe(true);
    expect(found[4]?.patch.value['address']).toEqual({
      socket_address: { address: '127.0.0.1', port_value: 34904 },
    });
    expect(found[5]?.patch.value['address']).toEqual({
      socket_address: { address: '0.0.0.0', port_value: 34999 },
    });
    // The sidecar has no place for the app's socket.
    expect(found[4]?.patch.value).not.toHaveProperty('additional_addresses');
  });

  it('adds a listener for deliveries where the app is to be told something, on a socket of the sidecar', () => {
    const pubsub = { ...SAMPLE_CONFIG.components[0]!, primitive: 'pubsub' };
    const config = { ...SAMPLE_CONFIG, components: [pubsub] };
    const found = patches({}, config);
    const ofApp = found.filter(({ patch }) => patch.value['name'] === 'layotto_app');
    expect(ofApp.map(({ applyTo }) => applyTo)).toEqual(['CLUSTER', 'LISTENER']);
    expect(ofApp[1]?.patch.value['address']).toEqual({
      pipe: { path: '/var/run/layotto-app/deliveries.sock', mode: 0o660 },
    });
    const elsewhere = patches({ appSocket: '/run/app.sock' }, config);
    expect(JSON.stringify(elsewhere)).toContain('"path":"/run/app.sock"');
    const none = patches({}, { ...config, app: { ...config.app, port: 0 } });
    expect(JSON.stringify(none)).not.toContain('layotto_app');
  });

  it('reloads the VM after a trap, in both modes', () => {
    expect(pluginOf()).toMatchObject({
      failure_policy: 'FAIL_RELOAD',
      allow_on_headers_stop_iteration: true,
    });
    expect(pluginOf({ hold: true })).toMatchObject({ failure_policy: 'FAIL_RELOAD' });
    expect(pluginOf({ hold: true })).not.toHaveProperty('allow_on_headers_stop_iteration');
  });

  it('tells the filter and the Lua filter of the hold mode', () => {
    for (const hold of [false, true]) {
      const text = JSON.stringify(patches({ hold }));
      expect(text.includes('envoy_on_request')).toBe(hold);
      expect(text.includes(`\\\\\\"hold\\\\\\":${hold}`) || text.includes(`\\"hold\\":${hold}`)).toBe(true);
    }
  });

  it('takes names from the configuration, and options before them', () => {
    const mesh = { name: 'runtime', namespace: 'prod', selector: { tier: 'web' } };
    const config = { ...SAMPLE_CONFIG, mesh };
    expect(renderEnvoyFilter(config, options)).toMatchObject({
      metadata: { name: 'runtime', namespace: 'prod' },
      spec: { workloadSelector: { labels: { tier: 'web' } } },
    });
    expect(renderEnvoyFilter(config, { ...options, namespace: 'test' })).toMatchObject({
      metadata: { name: 'runtime', namespace: 'test' },
    });
  });

  it('allows the module what it is told, and restricts nothing if it is told nothing', () => {
    expect(pluginOf({ capabilities: ['proxy_log', 'proxy_on_tick'] })).toMatchObject({
      capability_restriction_config: { allowed_capabilities: { proxy_log: {}, proxy_on_tick: {} } },
    });
    expect(pluginOf()).not.toHaveProperty('capability_restriction_config');
  });

  it('takes the module from a file or an address', () => {
    expect(pluginOf()).toMatchObject({
      vm_config: { code: { local: { filename: '/var/layotto/runtime.wasm' } } },
    });
    const module = { url: 'oci://registry.example/layotto:1', sha256: 'ab'.repeat(32) };
    expect(pluginOf({ module })).toMatchObject({
      vm_config: { code: { remote: { http_uri: { uri: module.url }, sha256: module.sha256 } } },
    });
  });

  it.each<[Partial<EnvoyFilterOptions>, string]>([
    [{ name: 'Layotto' }, 'name: expected a Kubernetes name'],
    [{ name: 'a..b' }, 'name: expected a Kubernetes name'],
    [{ name: 'a'.repeat(64) }, 'name: expected a Kubernetes name'],
    [{ namespace: 'a.b' }, 'namespace: expected a Kubernetes namespace'],
    [{ namespace: '' }, 'namespace: expected a Kubernetes namespace'],
    [{ selector: {} }, 'selector: expected at least one label'],
    [{ selector: { 'a b': 'x' } }, 'selector: expected a label name'],
    [{ selector: { 'a/b/c': 'x' } }, 'selector: expected a label name'],
    [{ selector: { app: '-x' } }, 'selector app: expected a label value'],
    [{ module: { file: 'runtime.wasm' } }, 'module file: expected an absolute path'],
    [{ module: { url: 'runtime.wasm', sha256: 'ab'.repeat(32) } }, 'module URL: expected oci://'],
    [{ module: { url: 'oci://a/b', sha256: '' } }, 'module checksum: expected a SHA-256'],
    [{ bridgeSocket: 'session.sock' }, 'bridge socket: expected an absolute path'],
    [{ appSocket: 'deliveries.sock' }, 'app socket: expected an absolute path'],
    [{ bridgeSocket: `/${'s'.repeat(107)}` }, 'bridge socket: expected an absolute path'],
  ])('refuses %j', (more, expected) => {
    const problems = meshProblems(SAMPLE_CONFIG, { ...options, ...more });
    expect(problems).toEqual([expect.stringContaining(expected)]);
    expect(() => renderEnvoyFilter(SAMPLE_CONFIG, { ...options, ...more })).toThrow(expected);
  });

  it('asks for a selector where the app id cannot be a label', () => {
    const config = { ...SAMPLE_CONFIG, app: { ...SAMPLE_CONFIG.app, id: 'shop!' } };
    expect(meshProblems(config, options)).toEqual([
      expect.stringContaining('it is the app id; give a selector'),
    ]);
    expect(meshProblems(config, { ...options, selector: { app: 'shop' } })).toEqual([]);
  });
});
