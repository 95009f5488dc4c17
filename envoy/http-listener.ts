import { TYPES } from './names.js';
import type { EnvoyObject } from './names.js';

/**
 * The field of a connection manager by which its routes come from elsewhere: they change without a change of the
 * listener.
 *
 * @param name of the route configuration
 * @param source an Envoy config source
 */
export function routesFrom(name: string, source: EnvoyObject): EnvoyObject {
  return { rds: { route_config_name: name, config_source: { resource_api_version: 'V3', ...source } } };
}

/**
 * A listener with one connection manager, for h2c and HTTP/1.1 alike.
 *
 * @param name of the listener, and what its statistics begin with
 * @param address an Envoy address
 * @param manager fields of the connection manager
 * @param more further fields of the listener
 */
export function httpListener(
  name: string,
  address: EnvoyObject,
  manager: EnvoyObject,
  more: EnvoyObject = {},
): EnvoyObject {
  return {
    name,
    address,
    ...more,
    filter_chains: [
      {
        filters: [
          {
            name: 'envoy.filters.network.http_connection_manager',
            typed_config: { '@type': TYPES.httpConnectionManager, stat_prefix: name, ...manager },
          },
        ],
      },
    ],
  };
}
