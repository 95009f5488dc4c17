// Where a call's time went, for whoever looks at an HTTP answer (W3C Server
// Timing). Durations are milliseconds.

import { ByteWriter } from '../wire/bytes';
import { literal, View } from '../wire/view';

export const SERVER_TIMING = literal('server-timing');

const FILTER = literal('filter;dur=');
const BRIDGE = literal(', bridge;dur=');
const STORE = literal(', store;dur=');
const HIT = literal(', cache;desc=hit');

const DOT: u8 = 0x2e;
const ZERO: u8 = 0x30;

/**
 * Writes the header's value.
 *
 * @param total microseconds in Envoy, from the request to the answer
 * @param bridge those of them in the bridge; 0 if it was not asked
 * @param backend those of them in which the bridge waited for the backend
 * @param hit the answer was kept in Envoy
 */
export function writeServerTiming(w: ByteWriter, total: i64, bridge: i64, backend: i64, hit: bool): void {
  writeDuration(w, FILTER, total - bridge);
  if (hit) w.raw(HIT);
  if (bridge == 0) return;
  writeDuration(w, BRIDGE, bridge - backend);
  writeDuration(w, STORE, backend);
}

function writeDuration(w: ByteWriter, name: View, microseconds: i64): void {
  const us = max<i64>(microseconds, 0);
  const rest = us % 1000;
  w.raw(name);
  w.decimal(us / 1000);
  w.u8(DOT);
  if (rest < 100) w.u8(ZERO);
  if (rest < 10) w.u8(ZERO);
  w.decimal(rest);
}
