import { streamsSocket } from '../../components-bridge/src/config/sockets.js';
import type { RuntimeConfig } from '../../components-bridge/src/config/types.js';
import type { EnvoyObject } from '../names.js';
import type { MeshNames } from './options.js';

/** The clusters that istiod makes of the bridge's services, by the names that Envoy knows. */
export function serviceClusters(config: RuntimeConfig, names: MeshNames): { session: string; large: string } {
  const cluster = (host: string): string => `outbound|${config.listen.port}||${host}`;
  const { session, large } = hosts(names);
  return { session: cluster(session), large: cluster(large) };
}

function hosts({ name }: MeshNames): { runtime: string; session: string; large: string } {
  return {
    runtime: `${name}.internal`,
    session: `session.${name}.internal`,
    large: `session-large.${name}.internal`,
  };
}

/**
 * What the stable APIs of Istio need to have a listener on loopback and the bridge's sockets as services: ServiceEntries,
 * a VirtualService for the streams, a DestinationRule without TLS, and the pods' Sidecar.
 *
 * Istio takes one Sidecar per pod: who has one already puts the first egress listener of this one into it.
 */
export function serviceResources(config: RuntimeConfig, names: MeshNames): EnvoyObject[] {
  const { runtime, session, large } = hosts(names);
  // What apps may write in Host. Istio takes a name without a dot for one of the namespace, except in a ServiceEntry.
  const called = [runtime, '*.localhost', ...config.listen.hosts.filter((host) => host.includes('.'))];
  const short = ['localhost', ...config.listen.hosts.filter((host) => !host.includes('.'))];
  const port = { number: config.listen.port, name: 'http2-layotto', protocol: 'HTTP2' };
  const socket = (part: string, of: readonly string[], path: string, more: EnvoyObject = {}): EnvoyObject =>
    networking('ServiceEntry', names, part, {
      hosts: of,
      ...more,
      ports: [port],
      location: 'MESH_EXTERNAL',
      resolution: 'STATIC',
      exportTo: ['.'],
      endpoints: [{ address: `unix://${path}` }],
    });
  const path = streamsSocket(names.bridgeSocket);
  const to = (host: string): EnvoyObject => ({
    route: [{ destination: { host, port: { number: port.number } } }],
    // Nothing is sent twice.
    retries: { attempts: 0 },
  });
  return [
    // The filter answers; what it lets pass are streams.
    socket('', called, path, { addresses: ['127.0.0.1'] }),
    socket('local', short, path),
    socket('session', [session], names.bridgeSocket),
    // The same socket over connections of its own, so that large messages hold up no small ones.
    socket('session-large', [large], names.bridgeSocket),
    networking('VirtualService', names, '', {
      hosts: called,
      exportTo: ['.'],
      http: [
        {
          // Without a timeout: streams last as long as they like, and the bridge heeds a deadline that the caller gives.
          ...to(runtime),
          headers: { request: { remove: ['dapr-api-token', 'x-envoy-retry-on', 'x-envoy-retry-grpc-on'] } },
        },
      ],
    }),
    networking('DestinationRule', names, '', {
      host: `*.${runtime}`,
      exportTo: ['.'],
      trafficPolicy: { tls: { mode: 'DISABLE' } },
    }),
    networking('Sidecar', names, '', {
      workloadSelector: { labels: { ...names.selector } },
      egress: [
        {
          port,
          bind: '127.0.0.1',
          captureMode: 'NONE',
          // By names only those with a dot could stand here; of all services this listener takes those on its port.
          hosts: ['./*'],
        },
        // Everything else as without a Sidecar.
        { hosts: ['*/*'] },
      ],
    }),
  ];
}

function networking(
  kind: string,
  { name, namespace }: MeshNames,
  part: string,
  spec: EnvoyObject,
): EnvoyObject {
  return {
    apiVersion: 'networking.istio.io/v1',
    kind,
    metadata: { name: part === '' ? name : `${name}-${part}`, namespace },
    spec,
  };
}
