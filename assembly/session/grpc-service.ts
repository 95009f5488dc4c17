// How the bridge's cluster is named to the host.

import { ByteWriter } from '../wire/bytes';
import { literal, View, viewIndexOf, viewLen } from '../wire/view';

const PIPE: u8 = 0x7c;
/** What the bridge is asked as, where its cluster's name cannot be that. */
const AUTHORITY = literal('layotto');

/** GrpcService.envoy_grpc, EnvoyGrpc.cluster_name, EnvoyGrpc.authority. */
const ENVOY_GRPC: u32 = 1;
const CLUSTER_NAME: u32 = 1;
const AUTHORITY_FIELD: u32 = 2;

/**
 * What `proxy_grpc_stream` takes for a cluster: its name, which then is the requests' authority too. Clusters that
 * Istio makes of services have names such as `outbound|34904||bridge.internal`, which no HTTP/2 server takes for an
 * authority; for those it is a serialised envoy.config.core.v3.GrpcService with another one.
 *
 * @returns the name itself, or bytes that live as long as the module
 */
export function grpcService(cluster: View): View {
  if (viewIndexOf(cluster, PIPE) < 0) return cluster;
  const inner = new ByteWriter();
  inner.lenDelimited(CLUSTER_NAME, cluster);
  inner.lenDelimited(AUTHORITY_FIELD, AUTHORITY);
  const outer = new ByteWriter();
  outer.lenDelimited(ENVOY_GRPC, inner.view());
  inner.free();
  return outer.take();
}
