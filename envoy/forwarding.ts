import { BREAKERS, upstreamProtocol } from './callees.js';
import type { Protocol } from './callees.js';
import { FILTERS, TYPES } from './names.js';
import type { EnvoyObject } from './names.js';

/** Addresses of names that callers choose: bounded, for there may be any number. */
function dnsCache(name: string): EnvoyObject {
  return { name, dns_lookup_family: 'V4_PREFERRED', max_hosts: 1024, host_ttl: '60s' };
}

/**
 * The filter that looks up the address of whom a request names, for clusters of {@link forwardingCluster}.
 *
 * @param cache the addresses' name, which both have
 */
export function forwardingFilter(cache: string): EnvoyObject {
  return {
    name: FILTERS.forward,
    typed_config: { '@type': TYPES.forwardFilter, dns_cache_config: dnsCache(cache) },
  };
}

/** A cluster of whomever requests name. */
export function forwardingCluster(name: string, cache: string, protocol: Protocol): EnvoyObject {
  return {
    name,
    connect_timeout: '5s',
    lb_policy: 'CLUSTER_PROVIDED',
    cluster_type: {
      name: 'envoy.clusters.dynamic_forward_proxy',
      typed_config: { '@type': TYPES.forwardCluster, dns_cache_config: dnsCache(cache) },
    },
    circuit_breakers: BREAKERS,
    // Calls are in plain text; Envoy insists on this for those that would not be.
    ...upstreamProtocol(protocol, {
      upstream_http_protocol_options: { auto_sni: true, auto_san_validation: true },
    }),
  };
}
