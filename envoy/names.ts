/** Clusters of the runtime. Filter, bootstrap and EnvoyFilter use the same names. */
export const CLUSTERS = {
  /** The bridge's session, for everything up to 64 KiB. */
  session: 'layotto_session',
  /** The same socket over a connection of its own, so that large messages hold up no small ones. */
  large: 'layotto_session_large',
  /** Where the bridge serves streams. */
  streams: 'layotto_streams',
  /** Has no endpoint: every route that the filter answers leads here, so nothing leaves Envoy unanswered. */
  none: 'layotto_none',
  /** Envoy's admin interface, for the metrics listener of the standalone bootstrap. */
  admin: 'layotto_admin',
  /** The bridge's metrics, for the same listener. */
  bridgeAdmin: 'layotto_bridge_admin',
  /** Whom the app calls by a name that the configuration does not know. */
  proxy: 'layotto_proxy',
  /** The app beside the runtime. */
  app: 'layotto_app',
  /** Whom the app invokes by a name that a pattern makes one of DNS. */
  invoke: 'layotto_invoke',
  /** The listener of functions, for functions that call others. */
  functions: 'layotto_functions',
  /** The runtime's own listener, for functions. */
  self: 'layotto_self',
  /** The OpenTelemetry collector, if calls are traced. */
  collector: 'layotto_collector',
} as const;

/**
 * How names of clusters of callees begin, and of listeners of their own. The filter says what follows, up to a `|`: it
 * divides the callee's name from one of its parts.
 */
export const CALLEE_CLUSTER = 'layotto_callee_';
export const OUTBOUND_CLUSTER = 'layotto_outbound_';

/** HTTP filters, in the order in which they stand. The runtime's is also the name of its extension config. */
export const FILTERS = {
  /** Only where calls are traced. */
  trace: 'layotto.trace',
  runtime: 'layotto.runtime',
  /** The same module where the app calls others; also the name of its extension config. */
  outbound: 'layotto.outbound',
  /** Looks up the addresses of callees that the configuration does not know. */
  forward: 'envoy.filters.http.dynamic_forward_proxy',
  reply: 'layotto.reply',
  router: 'envoy.filters.http.router',
} as const;

/** The streaming method in which only the caller has something to send. */
export const UPLOAD_PATH = '/spec.proto.runtime.v1.Runtime/PutFile';

/** Methods whose messages pass to the bridge as they are, as paths. The filter's router knows the same ones. */
export const STREAM_PATHS: readonly string[] = [
  '/spec.proto.runtime.v1.Runtime/GetFile',
  UPLOAD_PATH,
  '/spec.proto.runtime.v1.Runtime/SubscribeConfiguration',
  '/dapr.proto.runtime.v1.Dapr/SubscribeConfigurationAlpha1',
  '/dapr.proto.runtime.v1.Dapr/SubscribeConfiguration',
  '/spec.proto.runtime.v1.Runtime/SubscribeTopicEvents',
  '/dapr.proto.runtime.v1.Dapr/SubscribeTopicEventsAlpha1',
];

/** A header that Envoy's router adds to answers, and of which callers are not told. */
export const UPSTREAM_TIME = 'x-envoy-upstream-service-time';

/** Type URLs of what the generator prints. */
export const TYPES = {
  httpConnectionManager:
    'type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager',
  wasm: 'type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm',
  lua: 'type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua',
  luaPerRoute: 'type.googleapis.com/envoy.extensions.filters.http.lua.v3.LuaPerRoute',
  celFilter: 'type.googleapis.com/envoy.extensions.access_loggers.filters.cel.v3.ExpressionFilter',
  filterConfig: 'type.googleapis.com/envoy.config.route.v3.FilterConfig',
  router: 'type.googleapis.com/envoy.extensions.filters.http.router.v3.Router',
  upstreamHttp: 'type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions',
  cluster: 'type.googleapis.com/envoy.config.cluster.v3.Cluster',
  routes: 'type.googleapis.com/envoy.config.route.v3.RouteConfiguration',
  extensionConfig: 'type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig',
  connectionLimit:
    'type.googleapis.com/envoy.extensions.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig',
  openTelemetry: 'type.googleapis.com/envoy.config.trace.v3.OpenTelemetryConfig',
  headerMutation: 'type.googleapis.com/envoy.extensions.filters.http.header_mutation.v3.HeaderMutation',
  earlyHeaderMutation:
    'type.googleapis.com/envoy.extensions.http.early_header_mutation.header_mutation.v3.HeaderMutation',
  extensionWithMatcher: 'type.googleapis.com/envoy.extensions.common.matching.v3.ExtensionWithMatcher',
  skipFilter: 'type.googleapis.com/envoy.extensions.filters.common.matcher.action.v3.SkipFilter',
  requestHeaderInput: 'type.googleapis.com/envoy.type.matcher.v3.HttpRequestHeaderMatchInput',
  forwardFilter: 'type.googleapis.com/envoy.extensions.filters.http.dynamic_forward_proxy.v3.FilterConfig',
  forwardCluster: 'type.googleapis.com/envoy.extensions.clusters.dynamic_forward_proxy.v3.ClusterConfig',
  upstreamTls: 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext',
  headerMutationPerRoute:
    'type.googleapis.com/envoy.extensions.filters.http.header_mutation.v3.HeaderMutationPerRoute',
  aggregateCluster: 'type.googleapis.com/envoy.extensions.clusters.aggregate.v3.ClusterConfig',
  previousHosts: 'type.googleapis.com/envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate',
  string: 'type.googleapis.com/google.protobuf.StringValue',
} as const;

/** Mode of every Unix socket that Envoy makes here: its owner's only. 0600, in decimal because JSON has no octal. */
export const SOCKET_MODE = 0o600;

/** A part of an Envoy configuration, as it is printed. */
export type EnvoyObject = Record<string, unknown>;
