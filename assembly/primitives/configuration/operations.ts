// Configuration: the operations at the bridge, and the check every door makes
// before one is sent.

import { Code } from '../../dialects/codes';
import { Exchange } from '../../dialects/exchange';
import { literal, View } from '../../wire/view';

export const GET_CONFIGURATION = literal('layotto.bridge.v1.Configuration/GetConfiguration');
export const SAVE_CONFIGURATION = literal('layotto.bridge.v1.Configuration/SaveConfiguration');
export const DELETE_CONFIGURATION = literal('layotto.bridge.v1.Configuration/DeleteConfiguration');

export const CALL_APP = literal('layotto.bridge.v1.Configuration/CallApp');
export const UNSUBSCRIBE_CONFIGURATION = literal('layotto.bridge.v1.Configuration/UnsubscribeConfiguration');

const CONFIGURATION = literal('configuration');

/** Why a configuration call is refused before it reaches the bridge. */
export enum Refusal {
  None,
  /** No configuration store is configured at all. */
  NotConfigured,
  StoreNotFound,
  /** The message cannot be decoded. */
  Malformed,
}

/** Finds the store, or says why not. */
export function checkStore(exchange: Exchange, name: View): Refusal {
  if (exchange.findComponent(CONFIGURATION, name) !== null) return Refusal.None;
  return exchange.configuration.serves(CONFIGURATION) ? Refusal.StoreNotFound : Refusal.NotConfigured;
}

/** google.rpc.Code of a refusal. */
export function refusalCode(refusal: Refusal): i32 {
  return refusal == Refusal.NotConfigured ? Code.FAILED_PRECONDITION : Code.INVALID_ARGUMENT;
}
