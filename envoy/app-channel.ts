import type { RuntimeConfig } from '../components-bridge/src/config/types.js';
import { appSocket } from '../components-bridge/src/config/sockets.js';
import { AS_SENT } from './as-sent.js';
import { NOT_SENT_YET, upstreamProtocol } from './callees.js';
import { httpListener } from './http-listener.js';
import { CLUSTERS, FILTERS, SOCKET_MODE, TYPES } from './names.js';
import type { EnvoyObject } from './names.js';
import { tracingParts } from './tracing.js';

/** Listener, statistics and routes. */
const NAME = 'layotto_app';

/** What Envoy repeats by itself: what cannot have reached the app. The bridge delivers anything else again. */
const RETRIES = { retry_on: NOT_SENT_YET.retry_on, num_retries: 2 };

/** Tells Envoy's own answers from the app's: a header says by which of Envoy's response flags one came about. */
const OWN_ANSWERS = {
  mappers: [
    {
      filter: { response_flag_filter: {} },
      headers_to_add: [
        {
          header: { key: 'x-layotto-local', value: '%RESPONSE_FLAGS%' },
          append_action: 'OVERWRITE_IF_EXISTS_OR_ADD',
        },
      ],
    },
  ],
};

/** Far above what one app has in hand, and still a bound. */
const BREAKER = { max_connections: 1024, max_pending_requests: 1024, max_requests: 4096 };

/** Where an Envoy takes deliveries. */
export interface AppSocket {
  /** Path of the Unix socket, as Envoy sees it. */
  path: string;
  /** Its mode. */
  mode: number;
}

/**
 * Whether there may be something to tell the app: events, or changes of configuration that it asked to be told of over
 * HTTP.
 */
export function tellsApp({ app, components, subscriptions = [] }: RuntimeConfig): boolean {
  if (app.port === 0) return false;
  const told = ['pubsub', ...(app.protocol === 'http' ? ['configuration'] : [])];
  return subscriptions.length > 0 || components.some(({ primitive }) => told.includes(primitive));
}

/**
 * The listener on a Unix socket through which the bridge calls the app, so that retries, limits, statistics and traces
 * of deliveries are Envoy's. How long a call may take is what its caller says in `x-envoy-upstream-rq-timeout-ms`.
 *
 * @param socket by default in the data folder, for this process's user
 */
export function appListener(
  config: RuntimeConfig,
  socket: AppSocket = { path: appSocket(config.dataDir), mode: SOCKET_MODE },
): EnvoyObject {
  // Envoy's span of a delivery stands below the bridge's, which stands in the publisher's trace.
  const tracing = tracingParts(config);
  return httpListener(
    NAME,
    { pipe: { path: socket.path, mode: socket.mode } },
    {
      codec_type: 'AUTO',
      ...AS_SENT,
      request_headers_timeout: '10s',
      stream_idle_timeout: '300s',
      ...tracing?.manager,
      route_config: {
        name: NAME,
        virtual_hosts: [
          {
            name: 'app',
            domains: ['*'],
            routes: [
              {
                match: { prefix: '/' },
                ...(tracing === undefined ? {} : { decorator: { operation: 'deliver', propagate: false } }),
                route: { cluster: CLUSTERS.app, timeout: '60s', retry_policy: RETRIES },
              },
            ],
          },
        ],
      },
      local_reply_config: OWN_ANSWERS,
      http_filters: [{ name: FILTERS.router, typed_config: { '@type': TYPES.router } }],
    },
  );
}

/** The app beside the runtime, at `app.port` on loopback, which speaks HTTP/1.1 or gRPC as `app.protocol` says. */
export function appCluster({ app }: Pick<RuntimeConfig, 'app'>): EnvoyObject {
  return {
    name: CLUSTERS.app,
    type: 'STATIC',
    connect_timeout: '1s',
    load_assignment: {
      cluster_name: CLUSTERS.app,
      endpoints: [
        {
          lb_endpoints: [
            { endpoint: { address: { socket_address: { address: '127.0.0.1', port_value: app.port } } } },
          ],
        },
      ],
    },
    circuit_breakers: {
      thresholds: [{ ...BREAKER, retry_budget: { budget_percent: { value: 20 }, min_retry_concurrency: 3 } }],
    },
    ...upstreamProtocol(app.protocol === 'grpc' ? 'http2' : 'http1'),
  };
}
