import { ByteWriter } from './bytes';
import { skipPlain } from './json-scan';
import { StringMap } from './string-map';
import { utf8Sequence } from './utf8';
import { View, view, viewLen, viewPtr } from './view';

/**
 * Writes a JSON string with its quotes. Escaped are quotes, backslashes and control characters; bytes that are not
 * UTF-8 become `\ufffd`, one for each. `<`, `>` and `&` stay as they are.
 */
export function jsonString(w: ByteWriter, v: View): void {
  w.u8(0x22);
  let at = viewPtr(v);
  const end = at + viewLen(v);
  // where the run of bytes that need no escape, and are not written yet, started
  let run = at;
  while (at < end) {
    at = skipPlain(at, end);
    if (at >= end) break;
    const byte = load<u8>(at);
    if (byte >= 0x20 && byte < 0x80 && byte != 0x22 && byte != 0x5c) {
      at++;
      continue;
    }
    const sequence = utf8Sequence(at, end);
    if (sequence > 1) {
      at += sequence;
      continue;
    }
    w.raw(view(run, <i32>(at - run)));
    if (sequence == 0) w.text('\\ufffd');
    else escape(w, byte);
    run = ++at;
  }
  w.raw(view(run, <i32>(end - run)));
  w.u8(0x22);
}

/** Writes a map as a JSON object of strings. */
export function jsonStringMap(w: ByteWriter, map: StringMap): void {
  w.u8(0x7b);
  for (let i = 0; i < map.size; i++) {
    if (i > 0) w.u8(0x2c);
    jsonString(w, map.keys[i]);
    w.u8(0x3a);
    jsonString(w, map.values[i]);
  }
  w.u8(0x7d);
}

function escape(w: ByteWriter, byte: u8): void {
  w.u8(0x5c);
  switch (byte) {
    case 0x22:
    case 0x5c:
      w.u8(byte);
      break;
    case 0x08:
      w.u8(0x62);
      break;
    case 0x0c:
      w.u8(0x66);
      break;
    case 0x0a:
      w.u8(0x6e);
      break;
    case 0x0d:
      w.u8(0x72);
      break;
    case 0x09:
      w.u8(0x74);
      break;
    default:
      w.u8(0x75);
      w.hex(byte, 4);
  }
}

/** Writes JSON value by value and puts the commas; that brackets match is the caller's business. */
export class JsonWriter {
  private comma: bool = false;

  constructor(
    /** Where the text goes. */
    public out: ByteWriter,
  ) {}

  /** Forgets that something was written, for a new text in the same or a cleared writer. */
  reset(): void {
    this.comma = false;
  }

  beginObject(): void {
    this.begin();
    this.out.u8(0x7b);
    this.comma = false;
  }

  endObject(): void {
    this.out.u8(0x7d);
    this.comma = true;
  }

  beginArray(): void {
    this.begin();
    this.out.u8(0x5b);
    this.comma = false;
  }

  endArray(): void {
    this.out.u8(0x5d);
    this.comma = true;
  }

  /** The key of the member whose value comes next. */
  key(v: View): void {
    this.begin();
    jsonString(this.out, v);
    this.out.u8(0x3a);
    this.comma = false;
  }

  string(v: View): void {
    this.begin();
    jsonString(this.out, v);
  }

  number(value: i64): void {
    this.begin();
    this.out.decimal(value);
  }

  boolean(value: bool): void {
    this.begin();
    this.out.text(value ? 'true' : 'false');
  }

  nothing(): void {
    this.begin();
    this.out.text('null');
  }

  /** A value that is JSON already. */
  raw(v: View): void {
    this.begin();
    this.out.raw(v);
  }

  private begin(): void {
    if (this.comma) this.out.u8(0x2c);
    this.comma = true;
  }
}
