import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { catalog } from '../../components-bridge/src/catalog.js';
import type { ComponentConfig, RuntimeConfig } from '../../components-bridge/src/config/types.js';
import type { renderBootstrap } from '../../envoy/bootstrap.js';
import type { EnvoyObject } from '../../envoy/names.js';
import { freePort } from './ports.js';

/** A component as a test writes it; the rest is filled in. */
export type TestComponent = Pick<ComponentConfig, 'name' | 'type'> & Partial<ComponentConfig>;

/** Something that answers sessions on a socket in place of the real bridge. */
export interface BridgeStandIn {
  stop(): Promise<void>;
}

export interface RuntimeOptions {
  components?: readonly TestComponent[];
  /** Envoy's worker threads; default 1. */
  concurrency?: number;
  appId?: string;
  /** Where the app listens on 127.0.0.1; by default nowhere. */
  appPort?: number;
  /** What it speaks; default http. */
  appProtocol?: 'http' | 'grpc';
  /** What it knows the runtime by. */
  appToken?: string;
  subscriptions?: NonNullable<RuntimeConfig['subscriptions']>;
  /** Also listen for calls of functions. */
  functions?: RuntimeConfig['functions'];
  apiToken?: string;
  hold?: boolean;
  /** Also listen on a Unix socket. */
  unixSocket?: boolean;
  /** Also serve the actuator, on a port of 127.0.0.1. */
  actuator?: boolean;
  /** Also listen for plain calls to others, with these callees by name; they can be invoked, too. */
  callees?: NonNullable<RuntimeConfig['callees']>;
  invoke?: RuntimeConfig['invoke'];
  /** Also let others reach the app, on a port of 127.0.0.1; needs `appPort`. */
  inbound?: boolean;
  hosts?: string[];
  limits?: Partial<RuntimeConfig['limits']>;
  lifecycle?: Partial<RuntimeConfig['lifecycle']>;
  policy?: RuntimeConfig['policy'];
  /** Where traces go. */
  tracing?: RuntimeConfig['tracing'];
  /** Whether metrics are served, on `config.envoy.metricsPort`; default false. */
  metrics?: boolean;
  /** Also have the bridge serve the gRPC doors itself, on `bridgePort`. */
  listen?: boolean;
  /** Further arguments of the bridge. */
  bridgeArgs?: readonly string[];
  /** Path of the module; default the release artifact. */
  module?: string;
  /** The real bridge (default), none, or a stand-in listening on the socket it is given. */
  bridge?: 'spawn' | 'none' | ((socketPath: string) => Promise<BridgeStandIn>);
  /** Whether `start` waits until every component answers; default true. */
  waitForComponents?: boolean;
  /** Makes the bootstrap in another way, or changes the one rendered, before Envoy reads it. */
  bootstrap?: (
    rendered: Bootstrap,
    context: { config: RuntimeConfig; module: string; adminSocket: string },
  ) => Bootstrap | Promise<Bootstrap>;
  /** Changes the routes of the runtime's listener, a route configuration, before Envoy reads them. */
  routes?: (rendered: EnvoyObject) => EnvoyObject;
  /** The gauges of open sessions, where the clusters have other names than in the bootstrap rendered. */
  sessionGauges?: RegExp;
}

/** What Envoy is started with. */
export type Bootstrap = ReturnType<typeof renderBootstrap>['bootstrap'];

/** The embedded store, as the default configuration has it. */
export const EMBEDDED: TestComponent = { name: 'statestore', type: 'state.embedded' };

/** A Redis store named `statestore` on a port of 127.0.0.1. */
export function redisComponent(port: number, more: Partial<ComponentConfig> = {}): TestComponent {
  return { name: 'statestore', type: 'state.redis', metadata: { redisHost: `127.0.0.1:${port}` }, ...more };
}

/** The configuration that options stand for, with a temporary folder and free ports. */
export async function resolve(options: RuntimeOptions): Promise<RuntimeConfig> {
  const dataDir = await mkdtemp(join(tmpdir(), 'layotto-'));
  return {
    source: 'test',
    app: { id: options.appId ?? 'app', port: options.appPort ?? 0, protocol: options.appProtocol ?? 'http' },
    listen: {
      host: '127.0.0.1',
      port: await freePort(),
      hosts: options.hosts ?? [],
      ...(options.actuator === true ? { actuator: { host: '127.0.0.1', port: await freePort() } } : {}),
      ...(options.callees === undefined ? {} : { proxy: { host: '127.0.0.1', port: await freePort() } }),
      ...(options.inbound === true ? { inbound: { host: '127.0.0.1', port: await freePort() } } : {}),
      ...(options.unixSocket === true ? { unixSocket: join(dataDir, 'runtime.sock') } : {}),
    },
    dataDir,
    limits: {
      messageBytes: 4_194_304,
      operations: 1024,
      streams: 100,
      bytes: 67_108_864,
      cacheBytes: 8_388_608,
      deadlineMs: 15_000,
      ...options.limits,
    },
    envoy: {
      concurrency: options.concurrency ?? 1,
      metricsPort: options.metrics === true ? await freePort() : 0,
    },
    modules: { slots: 0 },
    outbound: [],
    lifecycle: { apply: true, ...options.lifecycle },
    ...(options.callees === undefined ? {} : { callees: options.callees }),
    ...(options.invoke === undefined ? {} : { invoke: options.invoke }),
    ...(options.policy === undefined ? {} : { policy: options.policy }),
    ...(options.functions === undefined ? {} : { functions: options.functions }),
    ...(options.tracing === undefined ? {} : { tracing: options.tracing }),
    ...(options.subscriptions === undefined ? {} : { subscriptions: options.subscriptions }),
    components: (options.components ?? [EMBEDDED]).map((component) => ({
      version: 'v1',
      primitive: catalog.find(({ type }) => type === component.type)?.primitive ?? '',
      form: 'native',
      metadata: {},
      origin: { file: 'test', line: 0 },
      ...component,
    })),
  };
}
