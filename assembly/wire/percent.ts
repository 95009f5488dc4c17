import { ByteWriter } from './bytes';
import { hexDigit } from './json-scan';
import { View, viewByte, viewIndexOf, viewLen, viewSlice } from './view';

const PERCENT: u8 = 0x25;
const PLUS: u8 = 0x2b;
const SLASH: u8 = 0x2f;
const DOT: u8 = 0x2e;

/**
 * Writes a part of a query unescaped: `+` is a space, `%XX` a byte. False at an escape without two hexadecimal
 * digits; what was written by then is of no use. (The rules of Go's url.QueryUnescape.)
 */
export function unescapeQuery(v: View, w: ByteWriter): bool {
  return unescape(v, w, true);
}

/** As `unescapeQuery`, for a segment of a path, where `+` is just that. (Go's url.PathUnescape.) */
export function unescapePath(v: View, w: ByteWriter): bool {
  return unescape(v, w, false);
}

function unescape(v: View, w: ByteWriter, plusIsSpace: bool): bool {
  const len = viewLen(v);
  let run = 0;
  for (let i = 0; i < len; i++) {
    const byte = viewByte(v, i);
    if (byte == PERCENT) {
      // past the end there is 0, which is no digit
      const high = hexDigit(viewByte(v, i + 1));
      const low = hexDigit(viewByte(v, i + 2));
      if (high < 0 || low < 0) return false;
      w.raw(viewSlice(v, run, i));
      w.u8(<u8>((high << 4) | low));
      i += 2;
      run = i + 1;
    } else if (plusIsSpace && byte == PLUS) {
      w.raw(viewSlice(v, run, i));
      w.u8(0x20);
      run = i + 1;
    }
  }
  w.raw(viewSlice(v, run, len));
  return w.ok;
}

/**
 * Writes the shortest path that means the same: one slash where there were more, `.` dropped, `..` taken with what
 * stands before it, no slash at the end, and `.` for nothing. Works on the path as it was sent: an escaped slash
 * is no slash. (The rules of Go's path.Clean.)
 */
export function cleanPath(v: View, w: ByteWriter): void {
  const start = w.length;
  const len = viewLen(v);
  const rooted = viewByte(v, 0) == SLASH;
  if (rooted) w.u8(SLASH);
  // nothing before `floor` can be taken back: the root, or the `..`s a relative path starts with
  let floor = w.length;
  for (let at = 0; at < len;) {
    let to = viewIndexOf(v, SLASH, at);
    if (to < 0) to = len;
    const segment = viewSlice(v, at, to);
    at = to + 1;
    const size = viewLen(segment);
    if (size == 0 || (size == 1 && viewByte(segment, 0) == DOT)) continue;
    const up = size == 2 && viewByte(segment, 0) == DOT && viewByte(segment, 1) == DOT;
    if (up && w.length > floor) {
      w.truncate(lastSlash(w, floor));
      continue;
    }
    if (up && rooted) continue;
    if (w.length > start + (rooted ? 1 : 0)) w.u8(SLASH);
    w.raw(segment);
    if (up) floor = w.length;
  }
  if (w.length == start) w.u8(DOT);
}

/** Where the last segment that was written starts, with the slash before it; not before `floor`. */
function lastSlash(w: ByteWriter, floor: i32): i32 {
  const written = w.view();
  let at = viewLen(written) - 1;
  while (at > floor && viewByte(written, at) != SLASH) at--;
  return max(at, floor);
}

/**
 * Goes through `a=1&b=2`, the part after the question mark. Keys and values come as they were sent, still escaped.
 * Pairs that hold a semicolon, and empty ones, are passed over, as Go does.
 */
export class QueryReader {
  key: View = 0;
  value: View = 0;
  private query: View = 0;
  private at: i32 = 0;

  reset(query: View): void {
    this.query = query;
    this.at = 0;
    this.key = 0;
    this.value = 0;
  }

  /** Goes to the next pair; false at the end. */
  next(): bool {
    const len = viewLen(this.query);
    while (this.at < len) {
      let to = viewIndexOf(this.query, 0x26, this.at);
      if (to < 0) to = len;
      const pair = viewSlice(this.query, this.at, to);
      this.at = to + 1;
      if (viewLen(pair) == 0 || viewIndexOf(pair, 0x3b) >= 0) continue;
      const equals = viewIndexOf(pair, 0x3d);
      const keyEnd = equals < 0 ? viewLen(pair) : equals;
      this.key = viewSlice(pair, 0, keyEnd);
      this.value = viewSlice(pair, keyEnd + 1, viewLen(pair));
      return true;
    }
    return false;
  }
}
