import { parse } from 'yaml';

import type { RuntimeConfig } from '../components-bridge/src/config/types.js';
import { sampleCatalog } from '../test/support/sample-catalog.js';
import { EXTENSION_FILE, renderBootstrap } from './bootstrap.js';
import type { BootstrapOptions } from './bootstrap.js';
import { STREAM_PATHS, UPLOAD_PATH } from './names.js';
import { SAMPLE_CONFIG } from './samples.js';
import type { SlotModule } from './slots.js';
import { toYaml } from './yaml.js';

const options: BootstrapOptions = {
  version: '1.2.3',
  hold: false,
  apiTokens: [],
  catalog: sampleCatalog,
  moduleFile: '/opt/runtime.wasm',
};

type Any = Record<string, never>;

function resources(config: RuntimeConfig, more: Partial<BootstrapOptions> = {}) {
  const { bootstrap } = renderBootstrap(config, { ...options, ...more });
  return bootstrap['static_resources'] as { listeners: Any[]; clusters: Any[] };
}

function manager(config: RuntimeConfig, more: Partial<BootstrapOptions> = {}) {
  const [listener] = resources(config, more).listeners as unknown as {
    filter_chains: { filters: { typed_config: Record<string, unknown> }[] }[];
  }[];
  return listener?.filter_chains[0]?.filters[0]?.typed_config;
}

const MODULE: SlotModule = {
  ...{ file: '/m.wasm', configuration: '', rootId: '' },
  ...{ capabilities: [], seesBodies: false },
};

interface Route {
  name?: string;
  match: { prefix?: string; path?: string };
  route: { cluster?: string };
}

/** The route configuration of the runtime's listener. */
function runtimeRoutesOf(config: RuntimeConfig, more: Partial<BootstrapOptions> = {}) {
  const inFile = renderBootstrap(config, { ...options, ...more }).extensionConfigs['runtime.rds.yaml'];
  const { resources: found } = parse(inFile ?? 'resources: []') as { resources: unknown[] };
  return (found[0] ?? manager(config, more)?.['route_config']) as {
    virtual_hosts: { routes: Route[] }[];
    typed_per_filter_config?: object;
  };
}

describe('the bootstrap', () => {
  it('keeps every path inside the data folder', () => {
    const { bootstrap, extensionDir } = renderBootstrap(SAMPLE_CONFIG, options);
    expect(extensionDir).toBe('/var/lib/layotto/envoy');
    const paths = JSON.stringify(bootstrap).match(/"path":"\/[^"]*"/g) ?? [];
    const actuator = ['health/liveness', 'health/readiness', 'info', 'logger'].map((it) => `/actuator/${it}`);
    const routed = ['/metrics', '/metrics/bridge', '/stats/prometheus', ...actuator, ...STREAM_PATHS];
    const files = new Set(paths);
    const inline = renderBootstrap(SAMPLE_CONFIG, { ...options, delivery: 'inline' }).bootstrap;
    for (const path of JSON.stringify(inline).match(/"path":"\/[^"]*"/g) ?? []) files.add(path);
    for (const path of routed) expect(files.delete(`"path":"${path}"`)).toBe(true);
    expect([...files].sort()).toEqual([
      '"path":"/var/lib/layotto/app.sock"',
      '"path":"/var/lib/layotto/bridge-admin.sock"',
      '"path":"/var/lib/layotto/deliveries.sock"',
      '"path":"/var/lib/layotto/envoy"',
      '"path":"/var/lib/layotto/envoy-admin.sock"',
      '"path":"/var/lib/layotto/envoy/callees.cds.yaml"',
      '"path":"/var/lib/layotto/envoy/runtime.ecds.yaml"',
      '"path":"/var/lib/layotto/envoy/runtime.rds.yaml"',
      '"path":"/var/lib/layotto/session.sock"',
      '"path":"/var/lib/layotto/streams.sock"',
    ]);
  });

  it('has Envoy make a function that trapped anew sooner than other modules', () => {
    const functions = { listen: { host: '127.0.0.1', port: 2045 }, slots: 1 };
    const config = { ...SAMPLE_CONFIG, modules: { slots: 1 }, functions };
    const module = { file: '/x.wasm', configuration: '', rootId: '', capabilities: [], seesBodies: true };
    const slots = new Map(['function-1', 'slot-1'].map((slot) => [slot, module]));
    const { extensionConfigs } = renderBootstrap(config, { ...options, slots });
    expect(extensionConfigs['function-1.ecds.yaml']).toContain('base_interval: 0.1s');
    expect(extensionConfigs['slot-1.ecds.yaml']).toContain('base_interval: 0.5s');
  });

  it('puts the admin interface and the sockets where only their owner can reach them', () => {
    const { bootstrap } = renderBootstrap(SAMPLE_CONFIG, { ...options, adminSocket: '/run/admin.sock' });
    expect(bootstrap['admin']).toMatchObject({ address: { pipe: { path: '/run/admin.sock', mode: 0o600 } } });
    const [listener] = resources(SAMPLE_CONFIG).listeners;
    expect(listener?.['additional_addresses']).toEqual([
      { address: { pipe: { path: '/var/lib/layotto/app.sock', mode: 0o600 } } },
    ]);
  });

  it('listens on TCP only, and without metrics, actuator and app, if that is what is configured', () => {
    const { unixSocket, actuator, ...listen } = SAMPLE_CONFIG.listen;
    expect([unixSocket, actuator]).not.toContain(undefined);
    const config = {
      ...SAMPLE_CONFIG,
      app: { ...SAMPLE_CONFIG.app, port: 0 },
      listen: { ...listen, host: '0.0.0.0' },
      envoy: { concurrency: 2, metricsPort: 0 },
    };
    const { listeners, clusters } = resources(config);
    expect(listeners.map((listener) => listener['name'])).toEqual(['layotto_runtime']);
    expect(listeners[0]).not.toHaveProperty('additional_addresses');
    expect(listeners[0]).toHaveProperty('address.socket_address', { address: '0.0.0.0', port_value: 34904 });
    expect(clusters.map((cluster) => cluster['name'])).toEqual([
      'layotto_session',
      'layotto_session_large',
      'layotto_streams',
      'layotto_none',
    ]);
  });

  it.each([
    ['127.0.0.1', [], true],
    ['::1', [], true],
    ['0.0.0.0', [], false],
    ['0.0.0.0', ['', 'token'], true],
  ])('lets log levels be changed on the actuator at %s with the tokens %p: %p', (host, apiTokens, may) => {
    const listen = { ...SAMPLE_CONFIG.listen, actuator: { host, port: 34999 } };
    const { bootstrap } = renderBootstrap({ ...SAMPLE_CONFIG, listen }, { ...options, apiTokens });
    const { listeners } = bootstrap['static_resources'] as { listeners: Record<string, unknown>[] };
    const actuator = listeners.find(({ name }) => name === 'layotto_actuator');
    expect(actuator).toHaveProperty('address.socket_address', { address: host, port_value: 34999 });
    expect(JSON.stringify(actuator).includes('"exact":"POST"')).toBe(may);
  });

  it("gives every call a deadline, and keeps Envoy's limits above the filter's", () => {
    const limits = {
      ...SAMPLE_CONFIG.limits,
      messageBytes: 20 * 1024 * 1024,
      deadlineMs: 1500,
      operations: 5000,
    };
    const config = { ...SAMPLE_CONFIG, limits };
    expect(resources(config).listeners[0]).toHaveProperty(
      'per_connection_buffer_limit_bytes',
      21 * 1024 * 1024,
    );
    const route = {
      cluster: 'layotto_none',
      timeout: '0s',
      max_stream_duration: { max_stream_duration: '1.5s', grpc_timeout_header_max: '0s' },
    };
    const reply = {
      'layotto.reply': { '@type': 'type.googleapis.com/envoy.config.route.v3.FilterConfig', disabled: true },
    };
    const passed = {
      cluster: 'layotto_streams',
      timeout: '0s',
      idle_timeout: '0s',
      max_stream_duration: { max_stream_duration: '0s', grpc_timeout_header_max: '0s' },
    };
    const answered = (prefix: string): object => ({ match: { prefix, grpc: {} }, route });
    const waits = { ...passed, cluster: 'layotto_none' };
    const found = manager(config, { delivery: 'inline' });
    expect(found).toMatchObject({
      normalize_path: false,
      merge_slashes: false,
      path_with_escaped_slashes_action: 'KEEP_UNCHANGED',
      http2_protocol_options: {
        max_concurrent_streams: 10000,
        initial_stream_window_size: 21 * 1024 * 1024,
        initial_connection_window_size: 42 * 1024 * 1024,
      },
      route_config: {
        virtual_hosts: [
          {
            // Only answers to gRPC callers pass the Lua filter, and of those only what the filter answers itself.
            routes: [
              ...STREAM_PATHS.map((path) => ({
                match: { path, grpc: {} },
                route: path === UPLOAD_PATH ? { ...passed, idle_timeout: '300s' } : passed,
                typed_per_filter_config: reply,
              })),
              ...['/spec.proto.', '/dapr.proto.', '/grpc.'].map(answered),
              { match: { prefix: '/v1.0' }, route, typed_per_filter_config: reply },
              // What may turn out to be an invocation has no deadline of the runtime's.
              ...Array.from({ length: 5 }, () => ({ route: waits, typed_per_filter_config: reply })),
              answered('/'),
              { match: { prefix: '/' }, route, typed_per_filter_config: reply },
            ],
          },
        ],
      },
    });
  });

  it("has the filter's config in a watched file, or in place", () => {
    const names = (more: Partial<BootstrapOptions>) => {
      const [first, ...rest] = manager(SAMPLE_CONFIG, more)?.['http_filters'] as Record<string, unknown>[];
      return [Object.keys(first ?? {}), ...rest.map((filter) => filter['name'])];
    };
    expect(names({})).toEqual([['name', 'config_discovery'], 'layotto.reply', 'envoy.filters.http.router']);
    expect(names({ delivery: 'inline' })).toEqual([
      ['name', 'typed_config'],
      'layotto.reply',
      'envoy.filters.http.router',
    ]);

    const { extensionConfigs } = renderBootstrap(SAMPLE_CONFIG, options);
    const file = parse(extensionConfigs[EXTENSION_FILE] ?? '') as { resources: Record<string, never>[] };
    const inlined = manager(SAMPLE_CONFIG, { delivery: 'inline' })?.['http_filters'] as Record<
      string,
      unknown
    >[];
    expect(file.resources).toEqual([
      { '@type': 'type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig', ...inlined[0] },
    ]);
    expect(renderBootstrap(SAMPLE_CONFIG, { ...options, delivery: 'inline' }).extensionConfigs).toEqual({});
  });

  it('tries the routes of the runtime itself before those of callees, which may be many', () => {
    const callees = { orders: { to: [{ host: '127.0.0.1', port: 1 }] } };
    const [host] = runtimeRoutesOf({ ...SAMPLE_CONFIG, callees }).virtual_hosts;
    const names = host?.routes.map(({ name, match, route }) => {
      if (name !== undefined) return name;
      return route.cluster?.startsWith('layotto_callee_') ? 'callee' : (match.prefix ?? match.path ?? '');
    }) ?? [''];
    const own = '/v1.0';
    const invoke = 'layotto.invoke.direct';
    expect(names.slice(0, names.indexOf(own) + 1)).toEqual(
      expect.arrayContaining(['/spec.proto.', '/dapr.proto.', '/grpc.', ...STREAM_PATHS, own]),
    );
    expect(names.indexOf(invoke)).toBe(names.indexOf(own) + 1);
    expect(names.indexOf('callee')).toBe(names.lastIndexOf(invoke) + 1);
    expect(names.slice(-2)).toEqual(['/', '/']);
  });

  it('has calls pass without the filter where no token is asked for and nothing is in a slot', () => {
    const to = [{ host: '127.0.0.1', port: 1 }];
    const config = { ...SAMPLE_CONFIG, modules: { slots: 1 }, callees: { orders: { to } } };
    const direct = (more: Partial<BootstrapOptions>) =>
      runtimeRoutesOf(config, more).virtual_hosts[0]?.routes.some(({ name }) => name !== undefined);
    expect([direct({}), direct({ delivery: 'inline' })]).toEqual([true, true]);
    expect(direct({ apiTokens: ['secret'] })).toBe(false);
    expect(direct({ apiTokens: ['secret'], delivery: 'inline' })).toBe(false);
    expect(direct({ slots: new Map([['slot-1', MODULE]]) })).toBe(false);
  });

  it('leaves out the filters of empty slots, but not where others may fill them', () => {
    const config = { ...SAMPLE_CONFIG, modules: { slots: 2 } };
    const disabled = (more: Partial<BootstrapOptions>) =>
      Object.keys(runtimeRoutesOf(config, more).typed_per_filter_config ?? {});
    expect(disabled({})).toEqual(['layotto.slot.slot-1', 'layotto.slot.slot-2']);
    expect(disabled({ slots: new Map([['slot-1', MODULE]]) })).toEqual(['layotto.slot.slot-2']);
    expect(disabled({ delivery: 'inline' })).toEqual([]);
  });

  it('has the routes and the clusters of callees in watched files, or in place', () => {
    const at = (...ports: number[]) => ports.map((port) => ({ host: '127.0.0.1', port }));
    const config: RuntimeConfig = {
      ...SAMPLE_CONFIG,
      listen: { ...SAMPLE_CONFIG.listen, proxy: { host: '127.0.0.1', port: 3128 } },
      callees: { stock: { to: at(2) }, orders: { to: at(1) } },
      invoke: { pattern: { kind: 'dns', text: '{app}:80' } },
    };
    const managers = (more: Partial<BootstrapOptions>) =>
      resources(config, more)
        .listeners.filter(({ name }) => ['layotto_runtime', 'layotto_proxy'].includes(name ?? ''))
        .map((listener) => {
          const { filter_chains: chains } = listener as unknown as {
            filter_chains: { filters: { typed_config: Record<string, unknown> }[] }[];
          };
          return chains[0]?.filters[0]?.typed_config ?? {};
        });
    const named = (clusters: Any[]) => clusters.map(({ name }) => String(name));
    const clustersInPlace = resources(config, { delivery: 'inline' }).clusters;
    const callees = clustersInPlace.filter(({ name }) => String(name).startsWith('layotto_callee_'));
    expect(named(callees)).toEqual(
      ['stock', 'stock|http', 'orders', 'orders|http'].map((name) => `layotto_callee_${name}`),
    );

    const { bootstrap, extensionConfigs } = renderBootstrap(config, options);
    const inFile = (file: string) =>
      (parse(extensionConfigs[file] ?? '') as { resources: Record<string, unknown>[] }).resources;
    const source = (file: string) => ({
      path_config_source: {
        path: `/var/lib/layotto/envoy/${file}`,
        watched_directory: { path: '/var/lib/layotto/envoy' },
      },
    });
    // Clusters in an order of their own, so that another order in the configuration is no change.
    expect(inFile('callees.cds.yaml')).toEqual(
      [2, 3, 0, 1].map((index) => ({
        '@type': 'type.googleapis.com/envoy.config.cluster.v3.Cluster',
        ...(callees[index] as object),
      })),
    );
    expect(bootstrap['dynamic_resources']).toMatchObject({ cds_config: source('callees.cds.yaml') });
    // Those that a pattern finds stay where they are.
    expect(named(resources(config).clusters)).toEqual(
      named(clustersInPlace).filter((name) => !name.startsWith('layotto_callee_')),
    );
    const files = ['runtime.rds.yaml', 'proxy.rds.yaml'];
    const inPlace = managers({ delivery: 'inline' });
    for (const [index, { route_config, rds }] of managers({}).entries()) {
      expect(route_config).toBeUndefined();
      const { name } = inPlace[index]?.['route_config'] as { name: string };
      expect(rds).toMatchObject({ route_config_name: name, config_source: source(files[index] ?? '') });
      expect(inFile(files[index] ?? '')).toEqual([
        {
          '@type': 'type.googleapis.com/envoy.config.route.v3.RouteConfiguration',
          ...(inPlace[index]?.['route_config'] as object),
        },
      ]);
    }
    expect(inPlace).toHaveLength(2);
    // The script of callees that speak gRPC waits for the first of them.
    const scripts = (more: Partial<BootstrapOptions>) =>
      JSON.stringify(managers(more)).includes('"on_invoke"');
    expect([scripts({}), scripts({ delivery: 'inline' })]).toEqual([true, false]);
    expect(renderBootstrap(config, { ...options, delivery: 'inline' }).bootstrap).not.toHaveProperty(
      'dynamic_resources',
    );
  });

  it('survives being printed', () => {
    const hosts = ['"', '|', '#', "'", ': ', '{x}', '- '].map((part) => `a${part}b`);
    const config = {
      ...SAMPLE_CONFIG,
      app: { ...SAMPLE_CONFIG.app, id: '!"#$%&{}[]*:' },
      listen: { ...SAMPLE_CONFIG.listen, hosts },
    };
    const { bootstrap, extensionConfigs } = renderBootstrap(config, options);
    expect(parse(toYaml(bootstrap))).toEqual(bootstrap);
    const file = parse(extensionConfigs[EXTENSION_FILE] ?? '') as {
      resources: { typed_config: { config: { configuration: { value: string } } } }[];
    };
    const plugin = JSON.parse(file.resources[0]?.typed_config.config.configuration.value ?? '') as object;
    expect(plugin).toMatchObject({ app: { id: '!"#$%&{}[]*:' }, hosts });
  });
});

it.each(['y', 'no', 'on', 'Off', 'true', '1', '0x1f'])('%s stays a text', (text) => {
  expect(toYaml({ text })).toBe(`text: "${text}"\n`);
});
