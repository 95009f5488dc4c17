// Who calls, where a mesh says so. Headers are never asked: whoever is beside
// this Envoy can write any.

import { Policy } from '../config/policy';
import { Exchange } from '../dialects/exchange';
import { release } from '../host/memory';
import { getProperty } from '../host/properties';
import { literal, viewByte, viewLen, viewToString } from '../wire/view';

/** Whether the connection has a client certificate, and its first URI. */
const MTLS = literal('connection\0mtls');
const PEER_URI = literal('connection\0uri_san_peer_certificate');
/** What Istio's agent writes into Envoy's node; the app beside it cannot. */
const NAMESPACE = literal('node\0metadata\0NAMESPACE');
const SERVICE_ACCOUNT = literal('node\0metadata\0SERVICE_ACCOUNT');

/** Notes who calls, if that is not the app beside this Envoy. */
export function identify(exchange: Exchange): void {
  const mtls = getProperty(MTLS);
  const remote = viewByte(mtls, 0) != 0;
  release(mtls);
  if (!remote) return;
  exchange.remote = true;
  const uri = getProperty(PEER_URI);
  exchange.caller = exchange.keep(uri);
  release(uri);
}

/** SPIFFE id of the workload that this Envoy is beside; null outside a mesh. */
export function ownIdentity(policy: Policy): ArrayBuffer | null {
  const namespace = getProperty(NAMESPACE);
  const account = getProperty(SERVICE_ACCOUNT);
  let id: ArrayBuffer | null = null;
  if (viewLen(namespace) > 0 && viewLen(account) > 0) {
    const workload = '/ns/' + viewToString(namespace) + '/sa/' + viewToString(account);
    id = String.UTF8.encode('spiffe://' + viewToString(policy.trustDomain) + workload);
  }
  release(namespace);
  release(account);
  return id;
}
