import type { ListenAddress, RuntimeConfig } from '../components-bridge/src/config/types.js';
import { AS_SENT } from './as-sent.js';
import { calleeRoutes, NOT_SENT_YET } from './callees.js';
import { forwardingCluster, forwardingFilter } from './forwarding.js';
import { httpListener, routesFrom } from './http-listener.js';
import { CALLEE_CLUSTER, CLUSTERS, FILTERS, TYPES } from './names.js';
import type { EnvoyObject } from './names.js';

/** Listener, statistics and routes. */
const NAME = 'layotto_proxy';
/** Its routes' name. */
export const PROXY_ROUTES = NAME;

/**
 * The listener on loopback through which the app calls others: an HTTP proxy (`http_proxy`), and for callees that the
 * configuration knows a server as well, which takes them by their `Host`. Nothing is held back on the way.
 *
 * @param filter the outbound filter, inline or discovered
 * @param routes where the routes come from; by default they stand in the listener
 */
export function proxyListener(
  config: Pick<RuntimeConfig, 'callees'>,
  {
    address,
    filter,
    routes,
  }: { address: ListenAddress; filter: EnvoyObject; routes?: EnvoyObject | undefined },
): EnvoyObject {
  const { host, port } = address;
  return httpListener(
    NAME,
    { socket_address: { address: host, port_value: port } },
    {
      codec_type: 'AUTO',
      ...AS_SENT,
      max_request_headers_kb: 64,
      request_headers_timeout: '10s',
      // Streams may be silent as long as their ends like.
      stream_idle_timeout: '0s',
      http_protocol_options: { enable_trailers: true },
      upgrade_configs: [{ upgrade_type: 'websocket' }],
      ...(routes === undefined
        ? { route_config: proxyRoutes(config, address) }
        : routesFrom(PROXY_ROUTES, routes)),
      http_filters: [
        filter,
        forwardingFilter(NAME),
        {
          name: FILTERS.router,
          typed_config: { '@type': TYPES.router, suppress_envoy_headers: true },
        },
      ],
    },
  );
}

/** The route configuration of {@link proxyListener}. */
export function proxyRoutes(
  { callees = {} }: Pick<RuntimeConfig, 'callees'>,
  { host, port }: ListenAddress,
): EnvoyObject {
  return {
    name: PROXY_ROUTES,
    virtual_hosts: [
      {
        name: 'itself',
        domains: [host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`, `localhost:${port}`],
        routes: [{ match: { prefix: '/' }, direct_response: refusal(ITSELF) }],
      },
      ...Object.entries(callees)
        .filter(([, { endpoint }]) => endpoint === undefined)
        .map(([name, callee]) => ({
          name: `${CALLEE_CLUSTER}${name}`,
          domains: [name, `${name}:80`],
          routes: calleeRoutes(name, callee, { match: EVERYTHING, action: ACTION }),
        })),
      {
        name: 'others',
        domains: ['*'],
        routes: [{ match: EVERYTHING, route: { cluster: CLUSTERS.proxy, ...ACTION } }],
      },
    ],
  };
}

const ITSELF =
  'this is a proxy for calls to others: set http_proxy to its address, or name one of callees in Host\n';

function refusal(text: string): EnvoyObject {
  return { status: 421, body: { inline_string: text } };
}

const EVERYTHING = { prefix: '/' };
/** How long a call may take is its caller's business. */
const ACTION = { timeout: '0s', retry_policy: NOT_SENT_YET };

/** The cluster of those that the configuration does not know. */
export function proxyCluster(): EnvoyObject {
  return forwardingCluster(CLUSTERS.proxy, NAME, 'as-called');
}
