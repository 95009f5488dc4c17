import { existsSync } from 'node:fs';
import { isIP } from 'node:net';

import type { EndpointConfig } from '../components-bridge/src/config/types.js';
import { TYPES } from './names.js';
import type { EnvoyObject } from './names.js';

/** Where systems keep the authorities that they trust; the first is that of Debian, which Envoy's images are made of. */
const AUTHORITIES = [
  '/etc/ssl/certs/ca-certificates.crt',
  '/etc/pki/tls/certs/ca-bundle.crt',
  '/etc/ssl/ca-bundle.pem',
  '/etc/ssl/cert.pem',
];

/** What the cluster of a place of the web has besides. */
export function endpointParts({ tls }: EndpointConfig): EnvoyObject {
  return { dns_lookup_family: 'V4_PREFERRED', ...(tls === undefined ? {} : overTls(tls)) };
}

function overTls({ name, rootCA }: NonNullable<EndpointConfig['tls']>): EnvoyObject {
  const isAddress = isIP(name) !== 0;
  return {
    transport_socket: {
      name: 'envoy.transport_sockets.tls',
      typed_config: {
        '@type': TYPES.upstreamTls,
        ...(isAddress ? {} : { sni: name }),
        common_tls_context: {
          alpn_protocols: ['http/1.1'],
          validation_context: {
            trusted_ca: rootCA === undefined ? { filename: systemAuthorities() } : { inline_string: rootCA },
            match_typed_subject_alt_names: [
              { san_type: isAddress ? 'IP_ADDRESS' : 'DNS', matcher: { exact: name } },
            ],
          },
        },
      },
    },
  };
}

function systemAuthorities(): string {
  return AUTHORITIES.find((path) => existsSync(path)) ?? '/etc/ssl/certs/ca-certificates.crt';
}
