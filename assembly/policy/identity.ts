// Who calls, where a mesh says so. Headers are never asked: whoever is beside
// this Envoy can write any.

import { Policy } from '../config/policy';
import { Exchange } from '../dialects/exchange';
import { release } from '../host/memory';
import { getProperty } from '../host/properties';
import { literal, View, viewByte, viewLen, viewToString } from '../wire/view';

/** Whether the connection has a client certificate, and its first URI. */
const MTLS = literal('connection\0mtls');
const PEER_URI = literal('connection\0uri_san_peer_certificate');
/** What Istio's agent writes into Envoy's node; the app beside it cannot. */
const NAMESPACE = literal('xds\0node\0metadata\0NAMESPACE');
const SERVICE_ACCOUNT = literal('xds\0node\0metadata\0SERVICE_ACCOUNT');
const POD = literal('xds\0node\0metadata\0NAME');

/** Notes who calls, if that is not the app beside this Envoy. */
export function identify(exchange: Exchange): void {
  const mtls = getProperty(MTLS);
  const remote = viewByte(mtls, 0) != 0;
  release(mtls);
  if (!remote) return;
  exchange.remote = true;
  const uri = getProperty(PEER_URI);
  // It goes into a header for the bridge, which must not be dropped for what is in it.
  if (isVisible(uri)) exchange.caller = exchange.keep(uri);
  release(uri);
}

/** Whether a text is visible ASCII, as every URI is. */
function isVisible(text: View): bool {
  for (let i = 0, n = viewLen(text); i < n; i++) {
    const c = viewByte(text, i);
    if (c <= 0x20 || c >= 0x7f) return false;
  }
  return true;
}

/** The pod that this Envoy is in; no bytes outside a mesh. `release` gives it back. */
export function ownPod(): View {
  return getProperty(POD);
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
