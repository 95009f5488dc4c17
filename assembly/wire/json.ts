import { Arena } from './arena';
import { JsonContext, JsonError, jsonErrorText } from './json-error';
import {
  escapedSize,
  hexDigit,
  isPair,
  JsonKind,
  kindOf,
  simpleEscape,
  skipPlain,
  skipSpace,
  unescapeString,
} from './json-scan';
import { isInteger, toInteger } from './number';
import { utf8Sequence } from './utf8';
import { View, view, viewLen, viewPtr } from './view';

export { JsonContext, JsonError } from './json-error';
export { JsonKind } from './json-scan';

/**
 * Objects and arrays nested deeper than this are refused. Nothing in the APIs served comes near; stored values
 * that may be deeper travel as bytes and are not read.
 */
export const MAX_JSON_DEPTH: i32 = 64;

/**
 * Reads JSON (RFC 8259) from bytes nobody has checked, value by value, as the caller asks. It never traps: the
 * first error stays in `error`, `ok` turns false, and everything after gives nothing. The grammar and the words
 * of the errors are those of Go's encoding/json: control characters in strings are refused; bytes that are not
 * UTF-8 and lone surrogates become U+FFFD.
 *
 *     if (r.enterObject()) while (r.nextKey()) if (viewEquals(r.key, NAME)) name = r.string();
 *
 * A value the caller does not read is passed over by the next `nextKey` or `nextItem`; once inside an object or
 * array, go on until these return false. What Go does, finding every syntax error before any value of the wrong
 * kind, is `raw()` first and then a reader on what it returns.
 */
export class JsonReader {
  ok: bool = true;
  error: JsonError = JsonError.NONE;
  /** With INVALID_CHARACTER: the byte, its position, and what was being read. */
  errorChar: u8 = 0;
  errorAt: i32 = 0;
  errorContext: JsonContext = JsonContext.VALUE;
  /** After `nextKey`: the key. Good until `reset`, as every view the reader gives. */
  key: View = 0;
  /** Members and items passed since `reset`. */
  elements: i32 = 0;
  private errorExpected: u8 = 0;
  private base: usize = 0;
  private at: usize = 0;
  private end: usize = 0;
  private depth: i32 = 0;
  /** A bit for each level: whether it is an object, and whether it has no member yet. */
  private objects: u64 = 0;
  private fresh: u64 = 0;
  /** Whether `nextKey` or `nextItem` stopped before a value that nobody has read. */
  private pending: bool = false;
  private arena: Arena = new Arena();

  /** Starts over on `v`, and frees what strings with escapes took. */
  reset(v: View): void {
    this.ok = true;
    this.error = JsonError.NONE;
    this.errorChar = 0;
    this.errorAt = 0;
    this.errorContext = JsonContext.VALUE;
    this.errorExpected = 0;
    this.key = 0;
    this.elements = 0;
    this.base = viewPtr(v);
    this.at = this.base;
    this.end = this.base + viewLen(v);
    this.depth = 0;
    this.objects = 0;
    this.fresh = 0;
    this.pending = false;
    this.arena.reset();
  }

  /** The error in Go's words; empty if there is none. */
  errorText(): string {
    return jsonErrorText(this.error, this.errorContext, this.errorChar, this.errorExpected);
  }

  /** The kind of the value that comes next; NONE, and an error, if there is none. */
  peek(): JsonKind {
    if (!this.ok) return JsonKind.NONE;
    this.at = skipSpace(this.at, this.end);
    if (this.at >= this.end) {
      this.fail(this.depth == 0 ? JsonError.EMPTY : JsonError.UNEXPECTED_END);
      return JsonKind.NONE;
    }
    const kind = kindOf(load<u8>(this.at));
    if (kind == JsonKind.NONE) this.invalid(JsonContext.VALUE);
    return kind;
  }

  /** Goes into an object, up to its first key. False if the value is none. */
  enterObject(): bool {
    return this.expect(JsonKind.OBJECT) && this.push(true);
  }

  /** Goes into an array, up to its first item. False if the value is none. */
  enterArray(): bool {
    return this.expect(JsonKind.ARRAY) && this.push(false);
  }

  /** Goes to the next member of the object and sets `key`. False at its end, which is then left, or on an error. */
  nextKey(): bool {
    return this.nextMember(true);
  }

  /** Goes to the next item of the array. False at its end, which is then left, or on an error. */
  nextItem(): bool {
    if (!this.separate(false, 0x5d, JsonContext.AFTER_ELEMENT)) return false;
    this.pending = true;
    return true;
  }

  /** Reads a string, unescaped; the empty view, and an error, if the value is none. */
  string(): View {
    return this.expect(JsonKind.STRING) ? this.readString(true) : 0;
  }

  /** Reads a number as its text. */
  number(): View {
    if (!this.expect(JsonKind.NUMBER)) return 0;
    const start = this.at;
    this.skipNumber();
    return this.ok ? view(start, <i32>(this.at - start)) : 0;
  }

  /** Reads an integer; 0, and an error, if the value has a fraction or exponent or does not fit in 64 bits. */
  integer(): i64 {
    const text = this.number();
    if (!this.ok) return 0;
    if (!isInteger(text)) this.fail(JsonError.NOT_INTEGER);
    return toInteger(text);
  }

  /** Reads true or false; false, and an error, if the value is neither. */
  boolean(): bool {
    const value = this.peek() == JsonKind.TRUE;
    if (!this.expect(value ? JsonKind.TRUE : JsonKind.FALSE)) return false;
    this.skipScalar(value ? JsonKind.TRUE : JsonKind.FALSE);
    return value && this.ok;
  }

  /** Checks one value, whatever its kind, and returns exactly its bytes; the empty view on an error. */
  raw(): View {
    if (this.peek() == JsonKind.NONE) return 0;
    const start = this.at;
    this.skip();
    return this.ok ? view(start, <i32>(this.at - start)) : 0;
  }

  /** Checks one value, whatever its kind, and passes over it. */
  skip(): void {
    const outside = this.depth;
    do {
      const kind = this.peek();
      this.pending = false;
      if (kind == JsonKind.OBJECT || kind == JsonKind.ARRAY) this.push(kind == JsonKind.OBJECT);
      else this.skipScalar(kind);
      // on to the next value there is, out of every object and array that has none left
      while (this.ok && this.depth > outside) {
        const object = (this.objects & this.bit()) != 0;
        if (object ? this.nextMember(false) : this.nextItem()) break;
      }
    } while (this.ok && this.depth > outside);
  }

  /** Everything after what was read. */
  rest(): View {
    return view(this.at, <i32>(this.end - this.at));
  }

  private bit(): u64 {
    return (<u64>1) << (this.depth - 1);
  }

  private expect(kind: JsonKind): bool {
    const found = this.peek();
    if (found == kind) {
      this.pending = false;
      return true;
    }
    this.fail(JsonError.WRONG_KIND);
    return false;
  }

  private fail(error: JsonError): void {
    if (!this.ok) return;
    this.ok = false;
    this.error = error;
    this.errorAt = <i32>(this.at - this.base);
  }

  /** What stands at `at` cannot stand there. */
  private invalid(context: JsonContext, expected: u8 = 0): void {
    if (this.at >= this.end) {
      this.fail(JsonError.UNEXPECTED_END);
    } else if (this.ok) {
      this.fail(JsonError.INVALID_CHARACTER);
      this.errorChar = load<u8>(this.at);
      this.errorContext = context;
      this.errorExpected = expected;
    }
  }

  private push(object: bool): bool {
    if (this.depth >= MAX_JSON_DEPTH) {
      this.fail(JsonError.TOO_DEEP);
      return false;
    }
    this.at++;
    this.depth++;
    const bit = this.bit();
    this.fresh |= bit;
    this.objects = object ? this.objects | bit : this.objects & ~bit;
    return true;
  }

  /**
   * Passes over what stands before a member: the value before it if nobody read it, white space, a comma. False at
   * the closing bracket, which ends the level, or on an error.
   */
  private separate(object: bool, close: u8, context: JsonContext): bool {
    if (this.pending) this.skip();
    if (!this.ok) return false;
    const bit = this.depth == 0 ? 0 : this.bit();
    if (bit == 0 || ((this.objects & bit) != 0) != object) {
      this.fail(JsonError.WRONG_KIND);
      return false;
    }
    this.at = skipSpace(this.at, this.end);
    const byte = this.at < this.end ? load<u8>(this.at) : 0;
    if (byte == close) {
      this.at++;
      this.depth--;
      return false;
    }
    if ((this.fresh & bit) != 0) {
      this.fresh &= ~bit;
    } else if (byte == 0x2c) {
      this.at = skipSpace(this.at + 1, this.end);
    } else {
      this.invalid(context);
    }
    this.elements++;
    return this.ok;
  }

  private nextMember(keep: bool): bool {
    if (!this.separate(true, 0x7d, JsonContext.AFTER_PAIR)) return false;
    if (this.at >= this.end || load<u8>(this.at) != 0x22) {
      this.invalid(JsonContext.KEY);
      return false;
    }
    const key = this.readString(keep);
    if (!this.ok) return false;
    this.at = skipSpace(this.at, this.end);
    if (this.at >= this.end || load<u8>(this.at) != 0x3a) {
      this.invalid(JsonContext.AFTER_KEY);
      return false;
    }
    this.at++;
    this.key = key;
    this.pending = true;
    return true;
  }

  /** Reads the string that starts at `at`; gives its text only if it is to be kept. */
  private readString(keep: bool): View {
    const start = ++this.at;
    const end = this.end;
    let size = 0;
    let plain = true;
    while (true) {
      const from = this.at;
      this.at = skipPlain(from, end);
      size += <i32>(this.at - from);
      if (this.at >= end) break;
      const byte = load<u8>(this.at);
      if (byte == 0x22) break;
      if (byte == 0x5c) {
        plain = false;
        size += this.skipEscape();
        if (!this.ok) return 0;
      } else if (byte < 0x20) {
        break;
      } else {
        const sequence = utf8Sequence(this.at, end);
        if (sequence == 0) plain = false;
        size += sequence == 0 ? 3 : sequence;
        this.at += max(sequence, 1);
      }
    }
    if (this.at >= end || load<u8>(this.at) != 0x22) {
      this.invalid(JsonContext.STRING);
      return 0;
    }
    const stop = this.at++;
    if (!keep) return 0;
    if (plain) return view(start, size);
    const text = this.arena.alloc(size);
    unescapeString(start, stop, text);
    return view(text, size);
  }

  /** Passes over an escape and returns the bytes it comes to. */
  private skipEscape(): i32 {
    this.at++;
    const letter = this.at < this.end ? load<u8>(this.at) : 0;
    if (letter != 0x75) {
      if (simpleEscape(letter) == 0) this.invalid(JsonContext.ESCAPE);
      else this.at++;
      return 1;
    }
    const digits = ++this.at;
    for (let i = 0; i < 4; i++) {
      if (this.at >= this.end || hexDigit(load<u8>(this.at)) < 0) {
        this.invalid(JsonContext.HEX_ESCAPE);
        return 0;
      }
      this.at++;
    }
    if (isPair(digits, this.end)) this.at += 6;
    return escapedSize(digits, this.end);
  }

  private skipScalar(kind: JsonKind): void {
    switch (kind) {
      case JsonKind.STRING:
        this.readString(false);
        break;
      case JsonKind.NUMBER:
        this.skipNumber();
        break;
      case JsonKind.TRUE:
        this.skipLiteral('true', JsonContext.TRUE);
        break;
      case JsonKind.FALSE:
        this.skipLiteral('false', JsonContext.FALSE);
        break;
      case JsonKind.NULL:
        this.skipLiteral('null', JsonContext.NULL);
        break;
      default:
        break;
    }
  }

  private skipLiteral(name: string, context: JsonContext): void {
    for (let i = 0, n = name.length; i < n; i++) {
      const expected = <u8>name.charCodeAt(i);
      if (this.at >= this.end || load<u8>(this.at) != expected) {
        this.invalid(context, expected);
        return;
      }
      this.at++;
    }
  }

  private skipNumber(): void {
    if (load<u8>(this.at) == 0x2d) this.at++;
    // a leading zero stands alone
    if (this.at < this.end && load<u8>(this.at) == 0x30) this.at++;
    else this.skipDigits(JsonContext.NUMBER);
    if (this.ok && this.at < this.end && load<u8>(this.at) == 0x2e) {
      this.at++;
      this.skipDigits(JsonContext.FRACTION);
    }
    if (this.ok && this.at < this.end && (load<u8>(this.at) | 0x20) == 0x65) {
      this.at++;
      if (this.at < this.end && (load<u8>(this.at) == 0x2b || load<u8>(this.at) == 0x2d)) this.at++;
      this.skipDigits(JsonContext.EXPONENT);
    }
  }

  private skipDigits(context: JsonContext): void {
    const start = this.at;
    while (this.at < this.end && load<u8>(this.at) - 0x30 < 10) this.at++;
    if (this.at == start) this.invalid(context);
  }
}
