// Ids: the operations at the bridge, and what a door checks before one is sent.

import { bridgeMethod } from '../../dialects/bridge-method';
import { Code } from '../../dialects/codes';
import { Exchange } from '../../dialects/exchange';
import { GetNextIdRequest, SequencerOptions_AutoIncrement } from '../../wire/gen/layotto/bridge/v1/sequencer';
import { literal, View, viewLen } from '../../wire/view';

export const GET_NEXT_ID = bridgeMethod('layotto.bridge.v1.Sequencer/GetNextId');
export const GET_SEGMENT = bridgeMethod('layotto.bridge.v1.Sequencer/GetSegment');

const SEQUENCER = literal('sequencer');

/** Why a call is refused before it reaches the bridge. */
export enum Refusal {
  None,
  /** No sequencer is configured at all. */
  NotConfigured,
  NoKey,
  StoreNotFound,
  /** Neither WEAK nor STRONG. */
  BadIncrement,
  /** The message cannot be decoded. */
  Malformed,
}

/** The first thing that is wrong with a call, in Layotto's order. */
export function check(exchange: Exchange, request: GetNextIdRequest): Refusal {
  const found = exchange.findComponent(SEQUENCER, request.storeName) !== null;
  if (!found && !exchange.configuration.serves(SEQUENCER)) return Refusal.NotConfigured;
  if (viewLen(request.key) == 0) return Refusal.NoKey;
  if (!found) return Refusal.StoreNotFound;
  const options = request.options;
  const increment = options === null ? 0 : options.increment;
  return increment == SequencerOptions_AutoIncrement.WEAK ||
    increment == SequencerOptions_AutoIncrement.STRONG
    ? Refusal.None
    : Refusal.BadIncrement;
}

/** google.rpc.Code of a refusal. */
export function refusalCode(refusal: Refusal): i32 {
  return refusal == Refusal.NotConfigured ? Code.FAILED_PRECONDITION : Code.INVALID_ARGUMENT;
}

/** The text of a refusal, in Layotto's words. */
export function refusalText(exchange: Exchange, refusal: Refusal, store: View): View {
  const w = exchange.writer();
  if (refusal == Refusal.Malformed) w.text('the request message is not valid protobuf');
  else if (refusal == Refusal.NotConfigured) w.text('Sequencer store is not configured');
  else if (refusal == Refusal.BadIncrement) w.text('options.Increment is illegal');
  else if (refusal == Refusal.NoKey) {
    w.text('Key is empty in sequencer store ');
    w.raw(store);
  } else {
    w.text('Sequencer store ');
    w.raw(store);
    w.text(' not found');
  }
  return w.view();
}
