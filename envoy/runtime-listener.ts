import type { ListenAddress, RuntimeConfig } from '../components-bridge/src/config/types.js';
import { streamsSocket } from '../components-bridge/src/config/sockets.js';
import { AS_SENT } from './as-sent.js';
import { NOT_GRPC } from './callees.js';
import { DIRECT_REPLIES, directRoutes } from './direct-calls.js';
import { httpListener, routesFrom } from './http-listener.js';
import {
  INVOKE_PREFIX,
  invokeFilters,
  invokeRoutes,
  onInvokeBeginnings,
  UNKNOWN_CLUSTER,
  unwayedRoutes,
} from './invoke-routes.js';
import { CLUSTERS, FILTERS, STREAM_PATHS, TYPES, UPLOAD_PATH, UPSTREAM_TIME } from './names.js';
import type { EnvoyObject } from './names.js';
import { replyConfig } from './reply-shim.js';
import { slotFilterName } from './slots.js';
import { tracingParts } from './tracing.js';
import type { TracingParts } from './tracing.js';
import { without } from './without-filters.js';

/** The runtime's listener, its statistics and its routes. */
const NAME = 'layotto_runtime';
/** The routes' name. */
export const RUNTIME_ROUTES = NAME;

const MIB = 1024 * 1024;
/** HTTP/2's largest window. */
const MAX_WINDOW = 2 ** 31 - 1;
/** Window of a session's streams and connections: several of the largest messages at once. */
const SESSION_WINDOW = 16 * MIB;
/** What Envoy takes of one passing stream from the bridge before its caller has read it, and holds towards the bridge. */
const PASSING_WINDOW = 256 * 1024;

/** Seconds as protobuf's JSON writes a duration. */
export function seconds(milliseconds: number): string {
  return `${milliseconds / 1000}s`;
}

/**
 * The listener that apps call, with one filter chain for h2c and HTTP/1.1 alike.
 *
 * @param address an Envoy address
 * @param more further addresses of the same listener
 * @param before HTTP filters that stand before the runtime's
 * @param filter the runtime's HTTP filter, inline or discovered
 * @param routes where the routes come from; by default they stand in the listener, and stay
 * @param envoyVersion the version of the Envoy it is for, if that is known
 */
export function runtimeListener(
  config: RuntimeConfig,
  options: {
    address: EnvoyObject;
    more?: readonly EnvoyObject[];
    before?: readonly EnvoyObject[];
    filter: EnvoyObject;
    routes?: EnvoyObject | undefined;
    envoyVersion?: string | undefined;
  } & RouteOptions,
): EnvoyObject {
  const more = options.more ?? [];
  const tracing = tracingParts(config, options.envoyVersion);
  const manager = { ...connectionManager(config, options, tracing), ...localReplies(config, options) };
  return httpListener(NAME, options.address, manager, {
    ...(more.length === 0 ? {} : { additional_addresses: more.map((address) => ({ address })) }),
    per_connection_buffer_limit_bytes: bodyLimit(config),
  });
}

/** What Envoy says by itself of calls that were to pass. */
function localReplies(
  config: RuntimeConfig,
  { routes, direct }: Pick<ManagerParts, 'routes' | 'direct'>,
): EnvoyObject {
  const mappers = [
    // Routes that come from elsewhere may become such.
    ...(direct === true || routes !== undefined ? [DIRECT_REPLIES] : []),
    ...(config.invoke?.pattern === undefined ? [] : [UNKNOWN_CLUSTER]),
  ];
  return mappers.length === 0 ? {} : { local_reply_config: { mappers } };
}

/** What the routes of {@link runtimeListener} depend on beside the configuration. */
export interface RouteOptions {
  /** Hold mode. */
  hold: boolean;
  /** Calls may pass without the filter where it has nothing to say, see `directRoutes`; default false. */
  direct?: boolean;
  /** Spare slots that nothing is in, where it is known: nothing passes their filters. */
  emptySlots?: readonly string[];
}

/** The route configuration of {@link runtimeListener}. */
export function runtimeRoutes(
  config: RuntimeConfig,
  { hold, direct = false, emptySlots = [] }: RouteOptions,
): EnvoyObject {
  const tracing = tracingParts(config);
  return {
    name: RUNTIME_ROUTES,
    ...(emptySlots.length === 0 ? {} : without(emptySlots.map(slotFilterName))),
    virtual_hosts: [
      {
        name: 'layotto',
        domains: ['*'],
        // Envoy tries one after the other. What is the runtime's own comes first, because callees may be many.
        routes: [
          ...passingRoutes(),
          ...ownRoutes(config, hold),
          ...(direct ? directRoutes(config) : []),
          ...invokeRoutes(config),
          ...otherRoutes(config, hold),
        ].map((route) => ({ ...route, ...tracing?.route })),
      },
    ],
  };
}

/** How long an upload may stand still. */
const UPLOAD_IDLE = '300s';
/** What the actuator answers, and its methods. */
const ACTUATOR_READS = ['/actuator/health/liveness', '/actuator/health/readiness', '/actuator/info'];
const LOGGER = '/actuator/logger';

/**
 * The listener of {@link RuntimeConfig.listen}.actuator: the same filter, and the actuator's routes only. What has no
 * route does not reach the filter.
 *
 * @param guarded whether callers must present a token; else log levels can be changed from this machine only
 */
export function actuatorListener(
  config: RuntimeConfig,
  options: { address: ListenAddress; filter: EnvoyObject; hold: boolean; guarded: boolean },
): EnvoyObject {
  const { host, port } = options.address;
  const changes = options.guarded || isLoopback(host);
  const withMethod = (method: string) => [{ name: ':method', string_match: { exact: method } }];
  const answered = [
    ...[...ACTUATOR_READS, LOGGER].map((path) => ({ path, headers: withMethod('GET') })),
    ...(changes ? [{ path: LOGGER, headers: withMethod('POST') }] : []),
  ];
  const withoutFilters = without([FILTERS.runtime, FILTERS.reply]);
  const routes = [
    ...answered.map((match) => answeredRoute(config, match)),
    { match: { prefix: '/' }, direct_response: { status: 404 }, ...withoutFilters },
  ];
  return httpListener(
    'layotto_actuator',
    { socket_address: { address: host, port_value: port } },
    {
      ...connectionManager(config, options, undefined),
      route_config: {
        name: 'layotto_actuator',
        virtual_hosts: [{ name: 'actuator', domains: ['*'], routes }],
      },
    },
  );
}

function isLoopback(host: string): boolean {
  return host === '::1' || host.startsWith('127.');
}

/**
 * Envoy's own bound for a body: above the documented limit, so that the filter's check, which answers in the
 * caller's API, is always the one that is met.
 */
export function bodyLimit(config: RuntimeConfig): number {
  return config.limits.messageBytes + MIB;
}

interface ManagerParts extends RouteOptions {
  before?: readonly EnvoyObject[];
  filter: EnvoyObject;
  routes?: EnvoyObject | undefined;
}

function connectionManager(
  config: RuntimeConfig,
  { before = [], filter, routes, ...of }: ManagerParts,
  tracing: TracingParts | undefined,
): EnvoyObject {
  const stream = bodyLimit(config);
  return {
    codec_type: 'AUTO',
    ...AS_SENT,
    ...tracing?.manager,
    max_request_headers_kb: 64,
    request_headers_timeout: '10s',
    stream_idle_timeout: '300s',
    // The route's deadline takes its place; this one is for requests that have no route, such as one with an empty
    // x-forwarded-proto, whatever their client meant by it.
    common_http_protocol_options: { max_stream_duration: seconds(config.limits.deadlineMs) },
    http_protocol_options: { accept_http_10: false, enable_trailers: true },
    http2_protocol_options: {
      // More than one app's operations at once, so that the filter's own "too busy" is the answer that is met.
      max_concurrent_streams: Math.min(MAX_WINDOW, Math.max(1024, 2 * config.limits.operations)),
      initial_stream_window_size: Math.min(MAX_WINDOW, stream),
      initial_connection_window_size: Math.min(MAX_WINDOW, Math.max(SESSION_WINDOW, 2 * stream)),
    },
    ...(routes === undefined
      ? { route_config: runtimeRoutes(config, of) }
      : routesFrom(RUNTIME_ROUTES, routes)),
    http_filters: [
      ...(tracing === undefined ? [] : [tracing.filter]),
      ...before,
      filter,
      {
        name: FILTERS.reply,
        typed_config: replyConfig(config, { hold: of.hold, routesChange: routes !== undefined }),
      },
      ...invokeFilters(config),
      { name: FILTERS.router, typed_config: { '@type': TYPES.router } },
    ],
  };
}

/**
 * Streams go to the bridge, with nothing held back on the way: neither filter waits for a body there. They may last and
 * be silent as long as they like, unless the caller gives a deadline: Envoy heeds that, and nobody behind it needs to.
 * Only an upload that stands still is ended: its caller may have given it up without a word, and it counts as open.
 */
function passingRoutes(): EnvoyObject[] {
  return STREAM_PATHS.map((path) => ({
    match: { path, grpc: {} },
    request_headers_to_remove: [
      'grpc-timeout',
      'dapr-api-token',
      // What a caller could ask Envoy to send twice, Envoy would have to keep.
      'x-envoy-retry-on',
      'x-envoy-retry-grpc-on',
    ],
    // The router's own; on other routes the reply filter knows by it what came from an upstream.
    response_headers_to_remove: [UPSTREAM_TIME],
    route: {
      cluster: CLUSTERS.streams,
      timeout: '0s',
      idle_timeout: path === UPLOAD_PATH ? UPLOAD_IDLE : '0s',
      max_stream_duration: { max_stream_duration: '0s', grpc_timeout_header_max: '0s' },
    },
    ...without([FILTERS.reply]),
  }));
}

/** How the paths of services begin that the filter answers, whomever their callers' metadata name. */
const answeredServices = ['/spec.proto.', '/dapr.proto.', '/grpc.'];

/** How the paths of the runtime's HTTP APIs begin. */
const HTTP_APIS = '/v1.0';

/** Routes of what no other app is called by. */
function ownRoutes(config: RuntimeConfig, hold: boolean): EnvoyObject[] {
  const invocation = { name: ':path', string_match: { prefix: INVOKE_PREFIX }, invert_match: true };
  return [
    ...answeredServices.map((prefix) => answeredRoute(config, { prefix, grpc: {} })),
    httpRoute(config, hold, { prefix: HTTP_APIS, headers: [invocation, NOT_GRPC] }),
  ];
}

/** Routes of everything that has found none yet: of calls whose way the filter finds, and of those that it answers. */
function otherRoutes(config: RuntimeConfig, hold: boolean): EnvoyObject[] {
  return [
    ...onInvokeBeginnings(config),
    ...unwayedRoutes().map((route) => ({ ...route, ...without([FILTERS.reply]) })),
    ...(hold ? [] : [answeredRoute(config, { prefix: '/', grpc: {} })]),
    httpRoute(config, hold, { prefix: '/' }),
  ];
}

/**
 * gRPC calls have the reply filter behind ours, which opens their answers. HTTP answers have no need of it, so their
 * route leaves it out, except in hold mode, where it also holds requests.
 */
function httpRoute(config: RuntimeConfig, hold: boolean, match: EnvoyObject): EnvoyObject {
  const route = answeredRoute(config, match);
  return hold ? route : { ...route, ...without([FILTERS.reply]) };
}

/**
 * A route whose calls the filter answers. It is not a direct response because only a route to a cluster has a
 * deadline: if the filter's VM dies, its calls end there. `grpc_timeout_header_max: 0s` lets a caller's own
 * grpc-timeout set the deadline instead.
 */
function answeredRoute(config: RuntimeConfig, match: EnvoyObject): EnvoyObject {
  return {
    match,
    route: {
      cluster: CLUSTERS.none,
      timeout: '0s',
      max_stream_duration: {
        max_stream_duration: seconds(config.limits.deadlineMs),
        grpc_timeout_header_max: '0s',
      },
    },
  };
}

/**
 * The clusters that the listener and the filter name.
 *
 * @param bridgeSocket path of the bridge's session socket, as Envoy sees it
 */
export function runtimeClusters(config: RuntimeConfig, bridgeSocket: string): EnvoyObject[] {
  const tracing = tracingParts(config);
  return [
    sessionCluster(CLUSTERS.session, bridgeSocket),
    sessionCluster(CLUSTERS.large, bridgeSocket),
    streamsCluster(streamsSocket(bridgeSocket)),
    {
      name: CLUSTERS.none,
      type: 'STATIC',
      connect_timeout: '1s',
      load_assignment: { cluster_name: CLUSTERS.none, endpoints: [] },
    },
    ...(tracing === undefined ? [] : [tracing.cluster]),
  ];
}

/**
 * Node's HTTP/2 sends GOAWAY when more than 1000 streams of a connection have been reset faster than 33 a second
 * (nghttp2's guard against CVE-2023-44487; Node 20 has no option for it), and loses the streams that were under way to
 * it: measured. Callers that go away must not cost others theirs, so that a connection has fewer than that.
 */
const STREAMS_OF_A_CONNECTION = 500;

function streamsCluster(socket: string): EnvoyObject {
  return {
    name: CLUSTERS.streams,
    type: 'STATIC',
    connect_timeout: '1s',
    load_assignment: socketEndpoint(CLUSTERS.streams, socket),
    per_connection_buffer_limit_bytes: PASSING_WINDOW,
    // The filter bounds streams; a stream is never sent twice, so nothing is kept of it to repeat.
    circuit_breakers: {
      thresholds: [
        { max_connections: 4096, max_pending_requests: 4096, max_requests: 65536, max_retries: 0 },
      ],
    },
    typed_extension_protocol_options: {
      'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
        '@type': TYPES.upstreamHttp,
        common_http_protocol_options: {
          idle_timeout: '60s',
          max_requests_per_connection: STREAMS_OF_A_CONNECTION,
        },
        explicit_http_config: {
          http2_protocol_options: {
            // A bridge that stands still is noticed, one that is busy is not taken for it.
            connection_keepalive: { interval: '5s', timeout: '5s' },
            initial_stream_window_size: PASSING_WINDOW,
            initial_connection_window_size: SESSION_WINDOW,
          },
        },
      },
    },
  };
}

function sessionCluster(name: string, socket: string): EnvoyObject {
  return {
    name,
    type: 'STATIC',
    connect_timeout: '1s',
    load_assignment: socketEndpoint(name, socket),
    // One stream per worker and root context: never the limit, but it is one.
    circuit_breakers: {
      thresholds: [{ max_connections: 4096, max_pending_requests: 4096, max_requests: 4096, max_retries: 0 }],
    },
    typed_extension_protocol_options: {
      'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
        '@type': TYPES.upstreamHttp,
        explicit_http_config: {
          http2_protocol_options: {
            // A bridge that is stopped, not closed, shows as a closed session after two seconds.
            connection_keepalive: { interval: '1s', timeout: '1s' },
            initial_stream_window_size: SESSION_WINDOW,
            initial_connection_window_size: SESSION_WINDOW,
          },
        },
      },
    },
  };
}

/** The load assignment of a cluster with one endpoint on a Unix socket. */
export function socketEndpoint(cluster: string, path: string): EnvoyObject {
  return {
    cluster_name: cluster,
    endpoints: [{ lb_endpoints: [{ endpoint: { address: { pipe: { path } } } }] }],
  };
}
