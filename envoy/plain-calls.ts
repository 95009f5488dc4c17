import { isIP } from 'node:net';

import type { CalleeAddress, ListenAddress, RuntimeConfig } from '../components-bridge/src/config/types.js';
import { AS_SENT } from './as-sent.js';
import { CALLEE_CLUSTER, CLUSTERS, FILTERS, TYPES } from './names.js';
import type { EnvoyObject } from './names.js';

/** Listener, statistics and routes. */
const NAME = 'layotto_proxy';

/** The proxy's own memory of addresses: bounded, because whoever calls it chooses the names. */
const DNS_CACHE = {
  name: NAME,
  dns_lookup_family: 'V4_PREFERRED',
  max_hosts: 1024,
  host_ttl: '60s',
};

/** What Envoy repeats by itself: calls that cannot have reached the callee. */
const NOT_SENT_YET = {
  retry_on: 'connect-failure,refused-stream,reset-before-request',
  num_retries: 2,
  // By another address, if there is one.
  retry_host_predicate: [
    { name: 'envoy.retry_host_predicates.previous_hosts', typed_config: { '@type': TYPES.previousHosts } },
  ],
  host_selection_retry_max_attempts: 5,
};

/** Of the calls under way so many may be repeats; with few calls, some at least. */
const RETRY_BUDGET = { budget_percent: { value: 20 }, min_retry_concurrency: 3 };

/** Far above what one app has under way, and still a bound. */
const BREAKER = { max_connections: 1024, max_pending_requests: 1024, max_requests: 1024 };

/**
 * The listener on loopback through which the app calls others: an HTTP proxy (`http_proxy`), and for callees that the
 * configuration knows a server as well, which takes them by their `Host`. Nothing is held back on the way.
 *
 * @param filter the outbound filter, inline or discovered
 */
export function proxyListener(
  { callees = {} }: Pick<RuntimeConfig, 'callees'>,
  { address, filter }: { address: ListenAddress; filter: EnvoyObject },
): EnvoyObject {
  const { host, port } = address;
  return {
    name: NAME,
    address: { socket_address: { address: host, port_value: port } },
    filter_chains: [
      {
        filters: [
          {
            name: 'envoy.filters.network.http_connection_manager',
            typed_config: {
              '@type': TYPES.httpConnectionManager,
              stat_prefix: NAME,
              codec_type: 'AUTO',
              ...AS_SENT,
              max_request_headers_kb: 64,
              request_headers_timeout: '10s',
              // Streams may be silent as long as their ends like.
              stream_idle_timeout: '0s',
              http_protocol_options: { enable_trailers: true },
              upgrade_configs: [{ upgrade_type: 'websocket' }],
              route_config: {
                name: NAME,
                virtual_hosts: [
                  {
                    name: 'itself',
                    domains: [
                      host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`,
                      `localhost:${port}`,
                    ],
                    routes: [{ match: { prefix: '/' }, direct_response: refusal(ITSELF) }],
                  },
                  ...Object.keys(callees).map((name) => ({
                    name: `${CALLEE_CLUSTER}${name}`,
                    domains: [name, `${name}:80`],
                    routes: [route(`${CALLEE_CLUSTER}${name}`)],
                  })),
                  { name: 'others', domains: ['*'], routes: [route(CLUSTERS.proxy)] },
                ],
              },
              http_filters: [
                filter,
                {
                  name: FILTERS.forward,
                  typed_config: { '@type': TYPES.forwardFilter, dns_cache_config: DNS_CACHE },
                },
                {
                  name: FILTERS.router,
                  typed_config: { '@type': TYPES.router, suppress_envoy_headers: true },
                },
              ],
            },
          },
        ],
      },
    ],
  };
}

const ITSELF =
  'this is a proxy for calls to others: set http_proxy to its address, or name one of callees in Host\n';

function refusal(text: string): EnvoyObject {
  return { status: 421, body: { inline_string: text } };
}

function route(cluster: string): EnvoyObject {
  return {
    match: { prefix: '/' },
    // How long a call may take is its caller's business.
    route: { cluster, timeout: '0s', retry_policy: NOT_SENT_YET },
  };
}

/** The clusters that the listener's routes lead to. */
export function proxyClusters({ callees = {} }: Pick<RuntimeConfig, 'callees'>): EnvoyObject[] {
  return [
    ...Object.entries(callees).map(([name, addresses]) =>
      calleeCluster(`${CALLEE_CLUSTER}${name}`, addresses),
    ),
    {
      name: CLUSTERS.proxy,
      connect_timeout: '5s',
      lb_policy: 'CLUSTER_PROVIDED',
      cluster_type: {
        name: 'envoy.clusters.dynamic_forward_proxy',
        typed_config: { '@type': TYPES.forwardCluster, dns_cache_config: DNS_CACHE },
      },
      // Calls are in plain text; Envoy insists on this for those that would not be.
      ...shared({ upstream_http_protocol_options: { auto_sni: true, auto_san_validation: true } }),
    },
  ];
}

function calleeCluster(name: string, addresses: readonly CalleeAddress[]): EnvoyObject {
  return {
    name,
    type: addresses.every(({ host }) => isIP(host) !== 0) ? 'STATIC' : 'STRICT_DNS',
    connect_timeout: '5s',
    lb_policy: 'LEAST_REQUEST',
    load_assignment: {
      cluster_name: name,
      endpoints: [
        {
          lb_endpoints: addresses.map(({ host, port }) => ({
            endpoint: { address: { socket_address: { address: host, port_value: port } } },
          })),
        },
      ],
    },
    // An address that fails again and again gets no calls for a while, as long as there are others.
    outlier_detection: {
      consecutive_gateway_failure: 5,
      enforcing_consecutive_gateway_failure: 100,
      enforcing_consecutive_5xx: 0,
      interval: '5s',
      base_ejection_time: '10s',
      max_ejection_percent: 50,
    },
    ...shared(),
  };
}

function shared(more: EnvoyObject = {}): EnvoyObject {
  return {
    circuit_breakers: { thresholds: [{ ...BREAKER, retry_budget: RETRY_BUDGET }] },
    typed_extension_protocol_options: {
      'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
        '@type': TYPES.upstreamHttp,
        ...more,
        common_http_protocol_options: { idle_timeout: '60s' },
        // What the app speaks.
        use_downstream_protocol_config: {
          http_protocol_options: { enable_trailers: true },
          http2_protocol_options: {},
        },
      },
    },
  };
}
