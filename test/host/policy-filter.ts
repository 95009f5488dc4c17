import { create, toBinary } from '@bufbuild/protobuf';

import * as pb from '../../components-bridge/src/gen/layotto/bridge/v1/secret_pb.js';
import type { CompiledPolicy, CompiledRule } from '../../components-bridge/src/policy/types.js';
import type { PluginComponent } from '../../envoy/plugin-config.js';
import { Filter } from './harness.js';

/** Filters with a policy, and calls that it is about. */

export const LAYOTTO = '/spec.proto.runtime.v1.Runtime';

export function component(
  primitive: string,
  name: string,
  more: Partial<PluginComponent> = {},
): PluginComponent {
  return { name, type: `${primitive}.test`, version: 'v1', primitive, capabilities: [], ...more };
}

export const COMPONENTS = [
  component('state', 'statestore'),
  component('secret', 'vault'),
  component('sequencer', 'ids', { segments: true }),
  component('file', 'files'),
];

export function policy(denies: boolean, ...rules: CompiledRule[]): CompiledPolicy {
  return { denies, trustDomain: 'cluster.local', rules };
}

export const connected = (found: CompiledPolicy, more = {}): Promise<Filter> =>
  Filter.connected({ components: COMPONENTS, policy: found, ...more });

export function secret(storeName: string, key: string): Uint8Array {
  return toBinary(pb.GetSecretRequestSchema, create(pb.GetSecretRequestSchema, { storeName, key }));
}

/** What Istio's agent writes into Envoy's node. */
export function workload(namespace: string, account: string): Record<string, string> {
  return { 'xds.node.metadata.NAMESPACE': namespace, 'xds.node.metadata.SERVICE_ACCOUNT': account };
}

/** What the host knows of a connection with a client certificate. */
export function certificate(uri: string): Record<string, string> {
  return { 'connection.mtls': '\x01', ...(uri === '' ? {} : { 'connection.uri_san_peer_certificate': uri }) };
}
