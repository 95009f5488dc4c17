// What the doors check of a call's store before anything is sent, for primitives
// that check nothing else.

import { View } from '../wire/view';
import { Code } from './codes';
import { Exchange } from './exchange';

/** Why a call is refused before it reaches the bridge. */
export enum Refusal {
  None,
  /** No store of the primitive is configured at all. */
  NotConfigured,
  StoreNotFound,
  /** The message cannot be decoded. */
  Malformed,
}

/** Finds the store of a primitive, or says why not. */
export function findStore(exchange: Exchange, primitive: View, name: View): Refusal {
  if (exchange.findComponent(primitive, name) !== null) return Refusal.None;
  return exchange.configuration.serves(primitive) ? Refusal.StoreNotFound : Refusal.NotConfigured;
}

/** google.rpc.Code of a refusal, the same in Layotto's API and in Dapr's. */
export function refusalCode(refusal: Refusal): i32 {
  return refusal == Refusal.NotConfigured ? Code.FAILED_PRECONDITION : Code.INVALID_ARGUMENT;
}
