// Configuration: the operations at the bridge, and the check every door makes
// before one is sent.

import { bridgeMethod } from '../../dialects/bridge-method';
import { Exchange } from '../../dialects/exchange';
import { findStore, Refusal } from '../../dialects/store-refusal';
import { literal, View } from '../../wire/view';

export const GET_CONFIGURATION = bridgeMethod('layotto.bridge.v1.Configuration/GetConfiguration');
export const SAVE_CONFIGURATION = bridgeMethod('layotto.bridge.v1.Configuration/SaveConfiguration');
export const DELETE_CONFIGURATION = bridgeMethod('layotto.bridge.v1.Configuration/DeleteConfiguration');

export const CALL_APP = bridgeMethod('layotto.bridge.v1.Configuration/CallApp');
export const UNSUBSCRIBE_CONFIGURATION = bridgeMethod(
  'layotto.bridge.v1.Configuration/UnsubscribeConfiguration',
);

const CONFIGURATION = literal('configuration');

/** Finds the store, or says why not. */
export function checkStore(exchange: Exchange, name: View): Refusal {
  return findStore(exchange, CONFIGURATION, name);
}
