// Secrets: the operations at the bridge, and the check every door makes before
// one is sent. Who may read which secret is decided in the bridge, for every
// door alike.

import { bridgeMethod } from '../../dialects/bridge-method';
import { Code } from '../../dialects/codes';
import { Exchange } from '../../dialects/exchange';
import { findStore, Refusal } from '../../dialects/store-refusal';
import { literal, View } from '../../wire/view';

export const GET_SECRET = bridgeMethod('layotto.bridge.v1.Secret/GetSecret');
export const GET_BULK_SECRET = bridgeMethod('layotto.bridge.v1.Secret/GetBulkSecret');

const SECRET = literal('secret');

/** Finds the store, or says why not. */
export function checkStore(exchange: Exchange, name: View): Refusal {
  return findStore(exchange, SECRET, name);
}

/** Both APIs call a secret that is not there INTERNAL. */
export function failureCode(code: i32): i32 {
  return code == Code.NOT_FOUND ? Code.INTERNAL : code;
}
