import { isIP } from 'node:net';

import type { OutboundConfig, RuntimeConfig } from '../components-bridge/src/config/types.js';
import { AS_SENT } from './as-sent.js';
import { BREAKERS, NOT_SENT_YET } from './callees.js';
import { httpListener } from './http-listener.js';
import { FILTERS, OUTBOUND_CLUSTER, TYPES } from './names.js';
import type { EnvoyObject } from './names.js';

/** The cluster behind an entry's listener. Policy and metrics know the entry by what follows its beginning. */
export function outboundClusterName({ name }: OutboundConfig): string {
  return `${OUTBOUND_CLUSTER}${name}`;
}

/**
 * The listener of one entry of {@link RuntimeConfig.outbound}: whatever the app calls there goes to the entry's
 * address, through the entry's slot.
 *
 * @param filters the filter that counts and limits plain calls, then the slot
 */
export function outboundListener(
  config: RuntimeConfig,
  outbound: OutboundConfig,
  filters: readonly EnvoyObject[],
): EnvoyObject {
  const { name, listen } = outbound;
  return httpListener(
    `layotto_outbound_${name}`,
    { socket_address: { address: listen.host, port_value: listen.port } },
    {
      codec_type: 'AUTO',
      ...AS_SENT,
      max_request_headers_kb: 64,
      request_headers_timeout: '10s',
      stream_idle_timeout: '300s',
      route_config: {
        name: `layotto_outbound_${name}`,
        virtual_hosts: [
          {
            name: 'outbound',
            domains: ['*'],
            // The app's own time limits hold; a module can set Envoy's by headers.
            routes: [
              {
                match: { prefix: '/' },
                route: {
                  cluster: outboundClusterName(outbound),
                  timeout: '0s',
                  retry_policy: NOT_SENT_YET,
                },
              },
            ],
          },
        ],
      },
      http_filters: [...filters, { name: FILTERS.router, typed_config: { '@type': TYPES.router } }],
    },
    {
      per_connection_buffer_limit_bytes: config.limits.messageBytes,
    },
  );
}

/** The cluster that {@link outboundListener} names. */
export function outboundCluster(outbound: OutboundConfig): EnvoyObject {
  const { host, port } = outbound.to;
  const name = outboundClusterName(outbound);
  const socket_address = { address: host, port_value: port };
  return {
    name,
    type: isIP(host) === 0 ? 'STRICT_DNS' : 'STATIC',
    connect_timeout: '5s',
    load_assignment: {
      cluster_name: name,
      endpoints: [{ lb_endpoints: [{ endpoint: { address: { socket_address } } }] }],
    },
    circuit_breakers: BREAKERS,
  };
}
