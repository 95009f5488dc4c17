// The head of a request that becomes another one. In hold mode it has gone on to
// the Lua filter when the body is here, out of this filter's reach: what is to
// change then stands before the body, and the Lua filter does it.

import { HeaderMap } from './host/enums';
import { removeHeader, replaceHeader } from './host/headers';
import { ByteWriter } from './wire/bytes';
import { View, viewLen } from './wire/view';

const END: u8 = 0x0a;

/**
 * Sets a header of the request.
 *
 * @param later for the Lua filter: a line with the name, then one with the value; null: at once
 * @param value what a header can hold, and not empty
 */
export function setHead(later: ByteWriter | null, name: View, value: View): void {
  if (later === null) replaceHeader(HeaderMap.RequestHeaders, name, value);
  else write(later, name, value);
}

/** Takes a header from the request. @param later for the Lua filter: a line with the name, then an empty one */
export function clearHead(later: ByteWriter | null, name: View): void {
  if (later === null) removeHeader(HeaderMap.RequestHeaders, name);
  else write(later, name, 0);
}

/** What follows is the body. */
export function endHead(later: ByteWriter): void {
  later.u8(END);
}

function write(w: ByteWriter, name: View, value: View): void {
  w.raw(name);
  w.u8(END);
  if (viewLen(value) > 0) w.raw(value);
  w.u8(END);
}
