import { BRIDGE_SETTINGS, CALLEES, changes, FILTER_SETTINGS, formatFixed, sameSettings } from './changes.js';
import type { RuntimeConfig } from './types.js';

const running: RuntimeConfig = {
  source: 'layotto.yaml',
  app: { id: 'shop', port: 0, protocol: 'http' },
  listen: { host: '127.0.0.1', port: 34904, hosts: [] },
  dataDir: '/data',
  limits: { messageBytes: 1, operations: 2, streams: 6, bytes: 3, cacheBytes: 0, deadlineMs: 4 },
  envoy: { concurrency: 2, metricsPort: 34903 },
  modules: { slots: 0 },
  outbound: [],
  lifecycle: { apply: true },
  components: [],
};

const store = {
  name: 'statestore',
  type: 'state.embedded',
  version: 'v1',
  primitive: 'state',
  form: 'native' as const,
  metadata: {},
  origin: { file: 'layotto.yaml', line: 3 },
};

it('takes over components, and the settings it is told can change', () => {
  const wanted: RuntimeConfig = {
    ...running,
    source: 'other.yaml',
    listen: { ...running.listen, hosts: ['shop.local'] },
    limits: { ...running.limits, operations: 20, bytes: 30, cacheBytes: 40 },
    components: [store],
  };
  const live = [...FILTER_SETTINGS, ...BRIDGE_SETTINGS];
  expect(changes(running, wanted, live)).toEqual({ config: wanted, fixed: [] });
  const { config, fixed } = changes(running, wanted, FILTER_SETTINGS);
  expect(config).toEqual({ ...wanted, limits: { ...running.limits, cacheBytes: 40 } });
  expect(fixed.map(({ key }) => key)).toEqual(['limits.operations', 'limits.bytes']);
});

it('leaves everything else, by the names that stand in the file', () => {
  const wanted: RuntimeConfig = {
    ...running,
    app: { ...running.app, id: 'cart' },
    listen: { ...running.listen, port: 34905, unixSocket: '/s' },
    dataDir: '/other',
    limits: { ...running.limits, messageBytes: 10, deadlineMs: 40 },
    envoy: { ...running.envoy, concurrency: 3 },
  };
  const { config, fixed } = changes(running, wanted, [...FILTER_SETTINGS, ...BRIDGE_SETTINGS]);
  expect(config).toEqual(running);
  expect(fixed.map(formatFixed)).toEqual([
    'app.id: needs a restart to change from "shop" to "cart"; it stays as it is',
    'listen.port: needs a restart to change from 34904 to 34905; it stays as it is',
    'listen.unixSocket: needs a restart to change from nothing to "/s"; it stays as it is',
    'dataDir: needs a restart to change from "/data" to "/other"; it stays as it is',
    'limits.message: needs a restart to change from 1 to 10; it stays as it is',
    'limits.deadline: needs a restart to change from 4 to 40; it stays as it is',
    'envoy.concurrency: needs a restart to change from 2 to 3; it stays as it is',
  ]);
});

it('says addresses, lists and maps as people write them', () => {
  const at = (port: number, host = '127.0.0.1') => ({ host, port });
  const before = {
    ...running,
    listen: { ...running.listen, proxy: at(15001) },
    callees: { orders: { to: [at(1)], protocol: 'http2' as const } },
  };
  const after = {
    ...running,
    listen: { ...running.listen, proxy: at(15001, '::1') },
    callees: { orders: { to: [at(1), at(2)], protocol: 'http2' as const } },
  };
  expect(changes(before, after, FILTER_SETTINGS).fixed.map(formatFixed)).toEqual([
    'listen.proxy: needs a restart to change from 127.0.0.1:15001 to [::1]:15001; it stays as it is',
    'callees.orders: needs a restart to change from { to: [127.0.0.1:1], protocol: "http2" } to { to: [127.0.0.1:1, 127.0.0.1:2], protocol: "http2" }; it stays as it is',
  ]);
});

it('says nothing of the headers of a place of the web', () => {
  const web = (path: string, key: string): RuntimeConfig => {
    const endpoint = { authority: 'web:80', path, headers: { authorization: key } };
    return { ...running, callees: { web: { to: [{ host: 'web', port: 80 }], endpoint } } };
  };
  const said = (from: RuntimeConfig, to: RuntimeConfig): string[] =>
    changes(from, to, FILTER_SETTINGS).fixed.map(formatFixed);
  expect(said(web('/v1', 'hush'), web('/v2', 'hush'))).toEqual([
    'callees.web: needs a restart to change from http://web:80/v1 to http://web:80/v2; it stays as it is',
  ]);
  expect(said(web('/v1', 'hush'), web('/v1', 'quiet'))).toEqual([
    'callees.web: needs a restart to change its headers or its rootCA; it stays as it is',
  ]);
  expect(said(running, web('/v1', 'hush'))).toEqual([
    'callees.web: needs a restart to change from nothing to http://web:80/v1; it stays as it is',
  ]);
});

it('takes callees over, all or none, where they can be', () => {
  const callee = (port: number) => ({ to: [{ host: '127.0.0.1', port }] });
  const before = { ...running, callees: { a: callee(1), b: callee(2) } };
  const wanted = { ...running, callees: { b: callee(3), c: callee(4) } };
  expect(changes(before, wanted, [CALLEES])).toEqual({ config: wanted, fixed: [] });
  expect(changes(before, running, [CALLEES]).config).not.toHaveProperty('callees');
  expect(changes(before, wanted, FILTER_SETTINGS).fixed.map(({ key }) => key)).toEqual([
    'callees.a',
    'callees.b',
    'callees.c',
  ]);
});

it('changes nothing of what it is given', () => {
  const wanted = { ...running, listen: { ...running.listen, hosts: ['x'] } };
  changes(running, wanted, FILTER_SETTINGS);
  expect(running.listen.hosts).toEqual([]);
});

it('knows when only the place of a component changed', () => {
  const moved = { ...store, origin: { file: 'layotto.yaml', line: 4 } };
  const other = { ...store, metadata: { path: 'x' } };
  const having = (component: typeof store): RuntimeConfig => ({ ...running, components: [component] });
  expect(sameSettings(having(store), { ...having(moved), source: 'other.yaml' })).toBe(true);
  expect(sameSettings(having(store), having(other))).toBe(false);
});
