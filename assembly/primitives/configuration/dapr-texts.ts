// Dapr's words for what goes wrong with configuration, over gRPC and over HTTP.

import { Exchange } from '../../dialects/exchange';
import { Refusal } from '../../dialects/store-refusal';
import { literal, View, viewLen } from '../../wire/view';

export const ERR_CONFIGURATION_STORE_NOT_CONFIGURED = literal('ERR_CONFIGURATION_STORE_NOT_CONFIGURED');
export const ERR_CONFIGURATION_STORE_NOT_FOUND = literal('ERR_CONFIGURATION_STORE_NOT_FOUND');
export const ERR_CONFIGURATION_GET = literal('ERR_CONFIGURATION_GET');
export const ERR_CONFIGURATION_UNSUBSCRIBE = literal('ERR_CONFIGURATION_UNSUBSCRIBE');
export const ERR_CONFIGURATION_SUBSCRIBE = literal('ERR_CONFIGURATION_SUBSCRIBE');
export const ERR_APP_CHANNEL_NIL = literal('ERR_APP_CHANNEL_NIL');
export const ERR_MALFORMED_REQUEST = literal('ERR_MALFORMED_REQUEST');

/** Keys that an error text repeats, and bytes of each. */
const KEYS_SHOWN: i32 = 8;

/** @param store clipped */
export function refusalText(exchange: Exchange, refusal: Refusal, store: View): View {
  const w = exchange.writer();
  if (refusal == Refusal.Malformed) w.text('the request message is not valid protobuf');
  else if (refusal == Refusal.NotConfigured) w.text('configuration stores not configured');
  else {
    w.text('configuration store ');
    w.raw(store);
    w.text(' not found');
  }
  return w.view();
}

/** Dapr's reason for a refusal. */
export function refusalReason(refusal: Refusal): View {
  if (refusal == Refusal.Malformed) return ERR_MALFORMED_REQUEST;
  return refusal == Refusal.NotConfigured
    ? ERR_CONFIGURATION_STORE_NOT_CONFIGURED
    : ERR_CONFIGURATION_STORE_NOT_FOUND;
}

/** @param keys the keys that an error text names, see `shownKeys` */
export function getFailure(exchange: Exchange, keys: View, store: View, reason: View): View {
  const w = exchange.writer();
  w.text('failed to get [');
  w.raw(keys);
  w.text('] from Configuration store ');
  w.raw(store);
  w.text(': ');
  w.raw(reason);
  return w.view();
}

/** The first keys as an error text shows them; it lives as long as the exchange. */
export function shownKeys(exchange: Exchange, keys: Array<View>): View {
  if (keys.length == 0) return 0;
  const w = exchange.writer();
  for (let i = 0; i < keys.length; i++) {
    if (i > 0) w.u8(0x20);
    if (i == KEYS_SHOWN || w.length + viewLen(keys[i]) > 256) {
      w.text('…');
      break;
    }
    w.raw(keys[i]);
  }
  return w.view();
}
