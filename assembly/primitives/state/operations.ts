// State: the operations at the bridge, and the checks every door makes before
// one is sent.

import { bridgeMethod } from '../../dialects/bridge-method';
import { Exchange } from '../../dialects/exchange';
import { literal, View, viewLen, viewPtr } from '../../wire/view';

export const GET_STATE = bridgeMethod('layotto.bridge.v1.State/GetState');
export const GET_BULK_STATE = bridgeMethod('layotto.bridge.v1.State/GetBulkState');
export const SAVE_STATE = bridgeMethod('layotto.bridge.v1.State/SaveState');
export const DELETE_STATE = bridgeMethod('layotto.bridge.v1.State/DeleteState');
export const DELETE_BULK_STATE = bridgeMethod('layotto.bridge.v1.State/DeleteBulkState');
export const EXECUTE_STATE_TRANSACTION = bridgeMethod('layotto.bridge.v1.State/ExecuteStateTransaction');

export const STATE = literal('state');
export const TRANSACTIONAL = literal('TRANSACTIONAL');
export const UPSERT = literal('upsert');
export const DELETE = literal('delete');

/** Why a state call is refused before it reaches the bridge. */
export enum Refusal {
  None,
  /** No state store is configured at all. */
  NotConfigured,
  StoreNotFound,
  /** The key holds "||", which separates the prefix from the key in the store. */
  IllegalKey,
  /** A key that must not be empty is. */
  EmptyKey,
  /** A transaction operation other than upsert and delete. */
  UnknownOperation,
  NotTransactional,
  /** The message cannot be decoded. */
  Malformed,
}

/** Finds the store, or says why not. */
export function checkStore(exchange: Exchange, name: View): Refusal {
  if (exchange.findComponent(STATE, name) !== null) return Refusal.None;
  return exchange.configuration.serves(STATE) ? Refusal.StoreNotFound : Refusal.NotConfigured;
}

/** As checkStore, for a transaction. */
export function checkTransactional(exchange: Exchange, name: View): Refusal {
  const refusal = checkStore(exchange, name);
  if (refusal != Refusal.None) return refusal;
  return exchange.component!.can(TRANSACTIONAL) ? Refusal.None : Refusal.NotTransactional;
}

const BAR: u8 = 0x7c;

/** Whether a key holds "||". */
export function isIllegalKey(key: View): bool {
  const ptr = viewPtr(key);
  for (let i = 1, n = viewLen(key); i < n; i++) {
    if (load<u8>(ptr + i) == BAR && load<u8>(ptr + i - 1) == BAR) return true;
  }
  return false;
}
