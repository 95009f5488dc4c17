import { createHash } from 'node:crypto';

import { answerStaleness } from '../components-bridge/src/config/answer-in-envoy.js';
import { configHash } from '../components-bridge/src/config/hash.js';
import { nearCacheAge } from '../components-bridge/src/config/near-cache.js';
import { segmentStep } from '../components-bridge/src/config/sequences.js';
import type { CatalogEntry, RuntimeConfig } from '../components-bridge/src/config/types.js';
import { compilePolicy } from '../components-bridge/src/policy/compile.js';
import type { CompiledPolicy } from '../components-bridge/src/policy/types.js';
import { CLUSTERS } from './names.js';

/** What the plugin configuration needs beside the resolved configuration. */
export interface PluginOptions {
  /** The runtime's version. */
  version: string;
  /** Hold mode: the filter runs without `allow_on_headers_stop_iteration`. */
  hold: boolean;
  /** Tokens of which callers must present one; none are needed if it is empty. Empty strings do not count. */
  apiTokens: readonly string[];
  /** Where the capabilities of each component's type stand. */
  catalog: readonly CatalogEntry[];
  /** Host functions and callbacks that the module may use, see `moduleCapabilities`; any if absent. */
  capabilities?: readonly string[];
}

/** The JSON that the filter reads when it is configured. */
export interface PluginConfiguration {
  version: string;
  configVersion: string;
  app: RuntimeConfig['app'];
  clusters: { session: string; large: string };
  hold: boolean;
  limits: RuntimeConfig['limits'];
  hosts: string[];
  /** SHA-256 of each token, hexadecimal: Envoy's config dump shows this configuration. */
  tokens: string[];
  components: PluginComponent[];
  /** Whom the app may invoke; absent: service invocation is not served. */
  invoke?: PluginInvoke;
  /** Absent: everything is allowed. */
  policy?: CompiledPolicy;
}

/** What the filter knows of service invocation. */
export interface PluginInvoke {
  callees: { name: string; grpc?: true; endpoint?: true; timeoutMs?: number }[];
  /** A cluster's name, or a host and port for `cluster`, with `{app}` and `{namespace}` in it. */
  pattern?: { text: string; dns?: true };
  /** The namespace of callees that name none. */
  namespace: string;
  /** What Layotto's configuration names instead of HTTP. */
  channel?: 'dubbo' | 'bolt';
}

/** What the filter knows of a component. */
export interface PluginComponent {
  name: string;
  type: string;
  version: string;
  primitive: string;
  capabilities: string[];
  /** How old an answer kept in Envoy may be; absent: none are kept. */
  nearCacheMs?: number;
  /** Ids may be taken in runs, to be handed out by Envoy; absent: each is asked for. */
  segments?: true;
  /** How stale an answer may be that Envoy gives by itself; absent: it gives none. */
  answerInEnvoyMs?: number;
}

/** Everything the filter must know before a session exists: policy, limits, and the components' names. */
export function pluginConfiguration(config: RuntimeConfig, options: PluginOptions): PluginConfiguration {
  const capabilities = new Map(options.catalog.map((entry) => [entry.type, entry.capabilities]));
  const policy = compilePolicy(config);
  return {
    version: options.version,
    configVersion: configHash(config),
    app: { ...config.app },
    clusters: { session: CLUSTERS.session, large: CLUSTERS.large },
    hold: options.hold,
    limits: { ...config.limits },
    hosts: [...config.listen.hosts],
    tokens: options.apiTokens.filter((token) => token !== '').map(sha256),
    components: config.components.map((component) => {
      const { name, type, version, primitive } = component;
      const nearCacheMs = nearCacheAge(component);
      const answerInEnvoyMs = answerStaleness(component);
      return {
        name,
        type,
        version,
        primitive,
        capabilities: [...(capabilities.get(type) ?? [])],
        ...(nearCacheMs === undefined ? {} : { nearCacheMs }),
        ...(segmentStep(component) === undefined ? {} : { segments: true as const }),
        ...(answerInEnvoyMs === undefined ? {} : { answerInEnvoyMs }),
      };
    }),
    invoke: pluginInvoke(config),
    ...(policy === undefined ? {} : { policy }),
  };
}

function pluginInvoke({ app, callees = {}, invoke = {} }: RuntimeConfig): PluginInvoke {
  const { pattern, port = 80, channel } = invoke;
  return {
    callees: Object.entries(callees).map(([name, { protocol, endpoint, timeoutMs }]) => ({
      name,
      ...(protocol === 'grpc' ? { grpc: true as const } : {}),
      ...(endpoint === undefined ? {} : { endpoint: true as const }),
      ...(timeoutMs === undefined ? {} : { timeoutMs }),
    })),
    namespace: app.namespace ?? 'default',
    ...(pattern === undefined
      ? {}
      : {
          pattern: {
            text: pattern.text.replaceAll('{port}', String(port)),
            ...(pattern.kind === 'dns' ? { dns: true as const } : {}),
          },
        }),
    ...(channel === undefined ? {} : { channel }),
  };
}

/** Whether callers must present a token. */
export function isGuarded({ apiTokens }: Pick<PluginOptions, 'apiTokens'>): boolean {
  return apiTokens.some((token) => token !== '');
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
