// Locks: the operations at the bridge, and what the doors check before one is
// sent.

import { bridgeMethod } from '../../dialects/bridge-method';
import { Exchange } from '../../dialects/exchange';
import { TryLockResponse } from '../../wire/gen/layotto/bridge/v1/lock';
import { literal, View, viewLen } from '../../wire/view';

export const TRY_LOCK = bridgeMethod('layotto.bridge.v1.Lock/TryLock');
export const UNLOCK = bridgeMethod('layotto.bridge.v1.Lock/Unlock');
export const LOCK_KEEP_ALIVE = bridgeMethod('layotto.bridge.v1.Lock/LockKeepAlive');

const LOCK = literal('lock');
const FENCING_TOKEN = literal('layotto-fencing-token');

/** Why a lock call is refused before it reaches the bridge. */
export enum Refusal {
  None,
  /** No lock store is configured at all. */
  NotConfigured,
  NoResource,
  NoOwner,
  /** The time to live is not positive. */
  NoExpiry,
  StoreNotFound,
  /** The message cannot be decoded. */
  Malformed,
}

/**
 * The first thing that is wrong with a call, in Layotto's order.
 *
 * @param expire seconds; a positive number for calls that have none
 */
export function check(exchange: Exchange, store: View, resource: View, owner: View, expire: i32): Refusal {
  const found = exchange.findComponent(LOCK, store) !== null;
  if (!found && !exchange.configuration.serves(LOCK)) return Refusal.NotConfigured;
  if (viewLen(resource) == 0) return Refusal.NoResource;
  if (viewLen(owner) == 0) return Refusal.NoOwner;
  if (expire <= 0) return Refusal.NoExpiry;
  return found ? Refusal.None : Refusal.StoreNotFound;
}

/** Puts the token of a lock that was taken into a header of the answer. */
export function addFencingToken(exchange: Exchange, response: TryLockResponse): void {
  if (!response.success) return;
  const w = exchange.writer();
  w.decimal(<i64>response.fencingToken);
  exchange.reply.headers.add(FENCING_TOKEN, w.view());
}
