// Output bindings: the operation at the bridge, and the check every door makes
// before it is sent.

import { bridgeMethod } from '../../dialects/bridge-method';
import { Exchange } from '../../dialects/exchange';
import { literal, View, viewLen } from '../../wire/view';

export const INVOKE_BINDING = bridgeMethod('layotto.bridge.v1.Binding/InvokeBinding');

const BINDING = literal('binding');

/** Why a call is refused before it reaches the bridge, in the words of both APIs; no bytes if it is not. */
export function refusal(exchange: Exchange, name: View, operation: View): View {
  const found = exchange.findComponent(BINDING, name) !== null;
  const w = exchange.writer();
  if (viewLen(operation) == 0) w.text('operation field is missing from request');
  else if (!found) {
    w.text("couldn't find output binding ");
    w.raw(name);
  }
  return w.view();
}
