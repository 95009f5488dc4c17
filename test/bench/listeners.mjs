const type = (name) => `type.googleapis.com/envoy.extensions.filters.${name}`;

/** A listener that answers every request with 200 and nothing else: what a call costs in any case. */
export function emptyListener(port) {
  return {
    name: 'empty',
    address: loopback(port),
    filter_chains: [
      {
        filters: [
          {
            name: 'envoy.filters.network.http_connection_manager',
            typed_config: {
              '@type': type('network.http_connection_manager.v3.HttpConnectionManager'),
              stat_prefix: 'empty',
              generate_request_id: false,
              route_config: {
                virtual_hosts: [
                  {
                    name: 'all',
                    domains: ['*'],
                    routes: [{ match: { prefix: '/' }, direct_response: { status: 200 } }],
                  },
                ],
              },
              http_filters: [
                {
                  name: 'envoy.filters.http.router',
                  typed_config: { '@type': type('http.router.v3.Router') },
                },
              ],
            },
          },
        ],
      },
    ],
  };
}

/** Makes of the runtime's listener one that is the same but for the runtime: it answers with nothing. */
export function emptyFilters(listener) {
  const manager = listener.filter_chains[0].filters[0].typed_config;
  manager.http_filters = manager.http_filters.slice(-1);
  delete manager.rds;
  const routes = [{ match: { prefix: '/' }, direct_response: { status: 200 } }];
  manager.route_config = { virtual_hosts: [{ name: 'all', domains: ['*'], routes }] };
}

/**
 * What a sidecar does with an app's connection to Redis: bytes pass through, nothing is looked at.
 *
 * @param {number} port where it listens
 * @param {number} redisPort where Redis does
 */
export function redisProxy(port, redisPort) {
  return {
    listener: {
      name: 'redis',
      address: loopback(port),
      filter_chains: [
        {
          filters: [
            {
              name: 'envoy.filters.network.tcp_proxy',
              typed_config: {
                '@type': type('network.tcp_proxy.v3.TcpProxy'),
                stat_prefix: 'redis',
                cluster: 'redis',
              },
            },
          ],
        },
      ],
    },
    cluster: {
      name: 'redis',
      type: 'STATIC',
      connect_timeout: '1s',
      load_assignment: {
        cluster_name: 'redis',
        endpoints: [{ lb_endpoints: [{ endpoint: { address: loopback(redisPort) } }] }],
      },
    },
  };
}

function loopback(port) {
  return { socket_address: { address: '127.0.0.1', port_value: port } };
}
