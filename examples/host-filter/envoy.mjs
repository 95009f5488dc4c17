const TYPE = 'type.googleapis.com/envoy.extensions';

/** The cluster of a server on this machine. */
function cluster(name, port) {
  const endpoint = { address: { socket_address: { address: '127.0.0.1', port_value: port } } };
  return {
    name,
    type: 'STATIC',
    connect_timeout: '1s',
    load_assignment: { cluster_name: name, endpoints: [{ lb_endpoints: [{ endpoint }] }] },
  };
}

/** An Envoy with one listener, on which the module stands before a server. */
export function bootstrap({ module, port, admin, office, house }) {
  const wasm = {
    '@type': `${TYPE}.filters.http.wasm.v3.Wasm`,
    config: {
      root_id: 'keeper',
      vm_config: { runtime: 'envoy.wasm.runtime.v8', code: { local: { filename: module } } },
    },
  };
  const manager = {
    '@type': `${TYPE}.filters.network.http_connection_manager.v3.HttpConnectionManager`,
    stat_prefix: 'door',
    route_config: {
      virtual_hosts: [
        { name: 'house', domains: ['*'], routes: [{ match: { prefix: '/' }, route: { cluster: 'house' } }] },
      ],
    },
    http_filters: [
      { name: 'keeper', typed_config: wasm },
      { name: 'router', typed_config: { '@type': `${TYPE}.filters.http.router.v3.Router` } },
    ],
  };
  return {
    admin: { address: { pipe: { path: admin } } },
    static_resources: {
      listeners: [
        {
          name: 'door',
          address: { socket_address: { address: '127.0.0.1', port_value: port } },
          filter_chains: [
            { filters: [{ name: 'envoy.filters.network.http_connection_manager', typed_config: manager }] },
          ],
        },
      ],
      clusters: [cluster('ticket_office', office), cluster('house', house)],
    },
  };
}
