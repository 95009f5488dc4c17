// Secrets: the operations at the bridge, and the check every door makes before
// one is sent. Who may read which secret is decided in the bridge, for every
// door alike.

import { Code } from '../../dialects/codes';
import { Exchange } from '../../dialects/exchange';
import { literal, View } from '../../wire/view';

export const GET_SECRET = literal('layotto.bridge.v1.Secret/GetSecret');
export const GET_BULK_SECRET = literal('layotto.bridge.v1.Secret/GetBulkSecret');

const SECRET = literal('secret');

/** Why a secret call is refused before it reaches the bridge. */
export enum Refusal {
  None,
  /** No secret store is configured at all. */
  NotConfigured,
  StoreNotFound,
  /** The message cannot be decoded. */
  Malformed,
}

/** Finds the store, or says why not. */
export function checkStore(exchange: Exchange, name: View): Refusal {
  if (exchange.findComponent(SECRET, name) !== null) return Refusal.None;
  return exchange.configuration.serves(SECRET) ? Refusal.StoreNotFound : Refusal.NotConfigured;
}

/** google.rpc.Code of a refusal, the same in both APIs. */
export function refusalCode(refusal: Refusal): i32 {
  return refusal == Refusal.NotConfigured ? Code.FAILED_PRECONDITION : Code.INVALID_ARGUMENT;
}

/** Both APIs call a secret that is not there INTERNAL. */
export function failureCode(code: i32): i32 {
  return code == Code.NOT_FOUND ? Code.INTERNAL : code;
}
