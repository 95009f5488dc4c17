import { isIP } from 'node:net';

import type { CalleeConfig, EndpointConfig, RuntimeConfig } from '../components-bridge/src/config/types.js';
import { calleeClusters, calleeRoutes, idempotent, notSentYet } from './callees.js';
import type { RouteParts } from './callees.js';
import { forwardingCluster, forwardingFilter } from './forwarding.js';
import { CLUSTERS, FILTERS, TYPES, UPSTREAM_TIME } from './names.js';
import type { EnvoyObject } from './names.js';
import { ON_INVOKE } from './reply-shim.js';
import { without } from './without-filters.js';

/** Where invocations are routed, whatever they came as: this, the callee's name, and `/method` before the path. */
export const INVOKE_PREFIX = '/v1.0/invoke/';
/** Names the cluster of an app that a pattern finds. Only the filter sets it. */
export const CLUSTER_HEADER = 'x-layotto-cluster';

/** Only the script of {@link ON_INVOKE} sets it, and says whether the call may be repeated. */
const ON_INVOKE_HEADER = 'x-layotto-on-invoke';

/** What is kept of a call so that it can be repeated or copied; longer ones are sent once. */
const KEPT_BYTES = 1024 * 1024;
const RETRIES = 2;

/** Methods after which RFC 9110 allows to repeat a call (9.2.2). */
const IDEMPOTENT = {
  name: ':method',
  string_match: { safe_regex: { regex: 'GET|PUT|DELETE|HEAD|OPTIONS' } },
};

/** By it a caller says that a call may be repeated (IETF draft httpapi-idempotency-key-header); any value does. */
const MARKED = { name: 'idempotency-key', present_match: true };

/** The addresses of names that a pattern makes. */
const CACHE = 'layotto_invoke';

/**
 * A call may last, and be silent, as long as its caller likes. A callee's own timeout comes from the filter, in a
 * header: beside a longest duration Envoy heeds none of the route.
 */
const LASTING = {
  timeout: '0s',
  idle_timeout: '0s',
  max_stream_duration: { max_stream_duration: '0s', grpc_timeout_header_max: '0s' },
};

/** An answer that is no gRPC belongs to a call that was. */
const WRAP = { wrap: true };

type Invoking = Pick<RuntimeConfig, 'app' | 'callees' | 'invoke'>;
type Invoker = { app: Pick<RuntimeConfig['app'], 'id' | 'namespace'> };

/**
 * The routes of service invocation. The filter lets a call through to them, and makes it one that they match: what
 * they add and take away costs the filter nothing.
 */
export function invokeRoutes(config: Invoking): EnvoyObject[] {
  const { callees = {} } = config;
  return [
    ...Object.entries(callees).flatMap(([name, callee]) => routesTo(config, name, callee)),
    ...patternRoutes(config),
  ];
}

function routesTo(config: Invoking, name: string, callee: CalleeConfig): EnvoyObject[] {
  const { endpoint } = callee;
  const { route, repeated, once } = invocationParts(config, name, callee);
  const to = (
    headers: readonly EnvoyObject[],
    action: EnvoyObject,
    { grpc, ...part }: Partial<RouteParts> & { grpc?: object } = {},
  ): EnvoyObject[] =>
    calleeRoutes(name, callee, {
      match: { ...matchOf(name, headers), ...(grpc && { grpc }) },
      ...{ route, action, ...part },
    });
  const others = httpRoutes(config, name, callee);
  if (endpoint !== undefined) return others;
  const grpc = [...to([MARKED], repeated, { grpc: {} }), ...to([], once, { grpc: {} })];
  if (callee.protocol !== 'grpc') return [...grpc, ...others];
  const onInvoke = { route: { ...route, ...asOnInvoke() } };
  const again = { name: ON_INVOKE_HEADER, string_match: { exact: 'again' } };
  return [
    ...to([again], repeated, onInvoke),
    ...to([{ name: ON_INVOKE_HEADER, present_match: true }], once, onInvoke),
    ...grpc,
    // HTTP calls begin here; when the script has made them gRPC, Envoy finds one of the first two.
    ...to([], once, onInvoke),
  ];
}

/**
 * Which calls are a callee's. Envoy looks at a route's path last, and callees may be many: as a header it is looked at
 * first, which spares calls the further conditions of all routes but their own.
 *
 * @param headers further conditions
 */
function matchOf(name: string, headers: readonly EnvoyObject[]): EnvoyObject {
  const prefix = `${INVOKE_PREFIX}${name}/method/`;
  return { prefix, headers: [{ name: ':path', string_match: { prefix } }, ...headers] };
}

/** What the routes to a callee do: fields of theirs, and of the actions of calls that are repeated, and of others. */
function invocationParts(
  config: Invoker,
  name: string,
  callee: CalleeConfig,
): Record<'route' | 'repeated' | 'once', EnvoyObject> {
  const { endpoint, retries = RETRIES } = callee;
  const head = { prefix_rewrite: `${endpoint?.path ?? ''}/`, ...hostOf(name, callee), ...LASTING };
  return {
    route:
      endpoint === undefined
        ? passing(config, [stamp('dapr-callee-app-id', name)])
        : outside(passing(config, []), endpoint),
    repeated: { ...head, retry_policy: idempotent(retries) },
    once: { ...head, retry_policy: notSentYet() },
  };
}

/**
 * The routes of the HTTP calls to a callee.
 *
 * @param headers further conditions
 * @param more further fields of the routes
 */
export function httpRoutes(
  config: Invoker,
  name: string,
  callee: CalleeConfig,
  { headers = [], ...more }: { headers?: readonly EnvoyObject[]; [field: string]: unknown } = {},
): EnvoyObject[] {
  const { route, repeated, once } = invocationParts(config, name, callee);
  const to = (when: readonly EnvoyObject[], action: EnvoyObject): EnvoyObject[] =>
    calleeRoutes(name, callee, {
      match: matchOf(name, [...headers, ...when]),
      ...{ route: { ...route, ...more }, action, http1: true },
    });
  return [...to([IDEMPOTENT], repeated), ...to([MARKED], repeated), ...to([], once)];
}

/** What a callee gets as its host. */
function hostOf(name: string, { to, routes = [], endpoint }: CalleeConfig): EnvoyObject {
  if (endpoint !== undefined) return { host_rewrite_literal: endpoint.authority };
  const addresses = [...to, ...routes.flatMap((route) => route.to)];
  // Whoever serves several names can tell them apart.
  return addresses.every(({ host }) => isIP(host) !== 0)
    ? { host_rewrite_literal: name }
    : { auto_host_rewrite: true };
}

/** For a place of the web, which is told nothing of the runtime, and gets the headers that its resource names. */
function outside(route: EnvoyObject, { headers }: EndpointConfig): EnvoyObject {
  return {
    ...route,
    request_headers_to_remove: [
      ...(route['request_headers_to_remove'] as string[]),
      ...['dapr-app-id', 'dapr-caller-app-id', 'dapr-caller-namespace', 'dapr-callee-app-id'],
    ],
    request_headers_to_add: Object.entries(headers).map(([key, text]) => stamp(key, text)),
  };
}

/** What routes have instead that make HTTP calls the OnInvoke of their callee: a script that holds them. */
function asOnInvoke(): EnvoyObject {
  return {
    request_headers_to_remove: ['dapr-api-token', CLUSTER_HEADER, ON_INVOKE_HEADER],
    metadata: {},
    // As much as a message may be long, which the script holds.
    request_body_buffer_limit: undefined,
    typed_per_filter_config: { [FILTERS.reply]: { '@type': TYPES.luaPerRoute, name: ON_INVOKE } },
  };
}

/** The routes to apps that no entry of the configuration is about. */
function patternRoutes(config: Invoking): EnvoyObject[] {
  const pattern = config.invoke?.pattern;
  if (pattern === undefined) return [];
  const headers = [{ name: CLUSTER_HEADER, present_match: true }];
  const action = {
    cluster_header: CLUSTER_HEADER,
    regex_rewrite: {
      pattern: { regex: `^${INVOKE_PREFIX.replace('.', '\\.')}[^/]+/method` },
      substitution: '',
    },
    ...LASTING,
  };
  const route = passing(config, []);
  const match = { prefix: INVOKE_PREFIX };
  return [
    {
      match: { ...match, grpc: {}, headers },
      ...route,
      route: { ...action, retry_policy: notSentYet() },
    },
    ...[IDEMPOTENT, MARKED].map((one) => ({
      match: { ...match, headers: [...headers, one] },
      ...route,
      route: { ...action, retry_policy: ofMesh(idempotent(RETRIES)) },
    })),
    { match: { ...match, headers }, ...route, route: { ...action, retry_policy: notSentYet() } },
  ];
}

/**
 * Where invocations begin whose way the filter has to find: by a header, by a path that is not yet as a route has it, by
 * the metadata of gRPC. Envoy keeps these routes' deadlines, of which there are none, when the way is found.
 */
export function unwayedRoutes(): EnvoyObject[] {
  const present = (name: string): EnvoyObject => ({ name, present_match: true });
  const elsewhere = { name: ':path', string_match: { prefix: '/v1.0' }, invert_match: true };
  const basic = { name: 'authorization', string_match: { prefix: 'Basic ', ignore_case: true } };
  return [
    { prefix: '/', grpc: {}, headers: [present('dapr-app-id')] },
    { prefix: '/', grpc: {}, headers: [present('dapr-callee-app-id')] },
    { prefix: INVOKE_PREFIX },
    { prefix: '/', headers: [present('dapr-app-id'), elsewhere] },
    { prefix: '/', headers: [basic, elsewhere] },
  ].map((match) => ({ match, route: { cluster: CLUSTERS.none, ...LASTING } }));
}

/**
 * Where HTTP calls to callees that speak gRPC begin whose path is not yet that of a route: the filter of
 * {@link asOnInvoke} has to be there from the beginning.
 */
export function onInvokeBeginnings({ app, callees = {} }: Invoking): EnvoyObject[] {
  const elsewhere = { name: ':path', string_match: { prefix: '/v1.0' }, invert_match: true };
  const is = (name: string, exact: string, ignore_case: boolean): EnvoyObject => ({
    name,
    string_match: { exact, ignore_case },
  });
  return Object.entries(callees)
    .filter(([, { protocol }]) => protocol === 'grpc')
    .flatMap(([name]) => [name, `${name}.${app.namespace ?? 'default'}`])
    .flatMap((id) => [
      { prefix: '/', headers: [is('dapr-app-id', id, true), elsewhere] },
      { prefix: '/', headers: [is('authorization', `Basic ${btoa(`dapr-app-id:${id}`)}`, false), elsewhere] },
      { prefix: `${INVOKE_PREFIX}${id}/method`, case_sensitive: false },
    ])
    .map((match) => ({ match, route: { cluster: CLUSTERS.none, ...LASTING } }));
}

/** The sidecars of a mesh mark no answers of their own. */
function ofMesh(policy: EnvoyObject): EnvoyObject {
  return { ...policy, retry_on: `${String(policy['retry_on'])},gateway-error` };
}

/**
 * What Envoy itself says where a pattern made the name of a cluster that there is not: nothing, if nobody gives it a text.
 * The filter puts it in the words of the caller's API.
 */
export const UNKNOWN_CLUSTER = {
  filter: { response_flag_filter: { flags: ['NC'] } },
  body_format_override: {
    text_format_source: { inline_string: "couldn't find service: %REQ(dapr-callee-app-id)%" },
  },
};

/** What all of these routes have in common. @param stamps further headers for the callee */
function passing({ app }: Invoker, stamps: readonly EnvoyObject[]): EnvoyObject {
  return {
    request_headers_to_remove: ['dapr-api-token', CLUSTER_HEADER],
    // A caller cannot say that it is another.
    request_headers_to_add: [
      stamp('dapr-caller-app-id', app.id),
      stamp('dapr-caller-namespace', app.namespace ?? 'default'),
      ...stamps,
    ],
    response_headers_to_remove: [UPSTREAM_TIME],
    // For the reply filter, which has it by this name from some versions of Envoy and by the other from others.
    metadata: { filter_metadata: { [FILTERS.reply]: WRAP, 'envoy.filters.http.lua': WRAP } },
    request_body_buffer_limit: KEPT_BYTES,
    ...without([FILTERS.reply]),
  };
}

/** `%` begins a substitution. */
function stamp(key: string, text: string): EnvoyObject {
  const value = text.replaceAll('%', '%%');
  return { header: { key, value }, append_action: 'OVERWRITE_IF_EXISTS_OR_ADD' };
}

/** HTTP filters between the runtime's and the router, where a pattern makes names for DNS. */
export function invokeFilters({ invoke }: Invoking): EnvoyObject[] {
  if (invoke?.pattern?.kind !== 'dns') return [];
  return [forwardingFilter(CACHE)];
}

/** The clusters that the routes lead to. */
export function invokeClusters(config: Invoking): EnvoyObject[] {
  return [...calleesClusters(config), ...patternClusters(config)];
}

/** Those of apps that an entry of the configuration is about. */
export function calleesClusters({ callees = {} }: Pick<RuntimeConfig, 'callees'>): EnvoyObject[] {
  return Object.entries(callees).flatMap(([name, callee]) => calleeClusters(name, callee));
}

/** Those of apps that a pattern finds by DNS. A mesh has its own. */
export function patternClusters({ invoke }: Pick<RuntimeConfig, 'invoke'>): EnvoyObject[] {
  if (invoke?.pattern?.kind !== 'dns') return [];
  return [
    forwardingCluster(CLUSTERS.invoke, CACHE, 'as-called'),
    forwardingCluster(`${CLUSTERS.invoke}|http`, CACHE, 'http1'),
  ];
}
