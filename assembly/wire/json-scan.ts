import { codePointAt, codePointSize, putCodePoint, REPLACEMENT, utf8Sequence } from './utf8';

const ONES: u64 = 0x0101010101010101;
const HIGH: u64 = 0x8080808080808080;
const QUOTES: u64 = 0x2222222222222222;
const BACKSLASHES: u64 = 0x5c5c5c5c5c5c5c5c;
const SPACES: u64 = 0x2020202020202020;

/** What kind of value comes next. */
export enum JsonKind {
  /** No value: there is an error. */
  NONE,
  OBJECT,
  ARRAY,
  STRING,
  NUMBER,
  TRUE,
  FALSE,
  NULL,
}

/** The kind of value that starts with a byte. */
export function kindOf(byte: u8): JsonKind {
  switch (byte) {
    case 0x7b:
      return JsonKind.OBJECT;
    case 0x5b:
      return JsonKind.ARRAY;
    case 0x22:
      return JsonKind.STRING;
    case 0x74:
      return JsonKind.TRUE;
    case 0x66:
      return JsonKind.FALSE;
    case 0x6e:
      return JsonKind.NULL;
    default:
      return byte == 0x2d || byte - 0x30 < 10 ? JsonKind.NUMBER : JsonKind.NONE;
  }
}

/** Passes over JSON's white space. */
export function skipSpace(at: usize, end: usize): usize {
  while (at < end) {
    const byte = load<u8>(at);
    if (byte != 0x20 && byte != 0x0a && byte != 0x0d && byte != 0x09) break;
    at++;
  }
  return at;
}

/** Passes over bytes that stand for themselves in a string, 8 at a time; may stop early, never late. */
export function skipPlain(at: usize, end: usize): usize {
  while (end - at >= 8) {
    const word = load<u64>(at);
    // the high bit of a byte is set if it was not ASCII, or went below zero
    const special = word | ((word ^ QUOTES) - ONES) | ((word ^ BACKSLASHES) - ONES) | (word - SPACES);
    if ((special & HIGH) != 0) break;
    at += 8;
  }
  return at;
}

/** The value of a hexadecimal digit, or -1. */
export function hexDigit(byte: u8): i32 {
  if (byte - 0x30 < 10) return byte - 0x30;
  const lower = byte | 0x20;
  if (lower - 0x61 < 6) return lower - 0x61 + 10;
  return -1;
}

/** The number of four hexadecimal digits at `at`, or -1 if there are none. */
export function hex4(at: usize, end: usize): i32 {
  if (end - at < 4) return -1;
  let value = 0;
  for (let i = 0; i < 4; i++) {
    const digit = hexDigit(load<u8>(at + i));
    if (digit < 0) return -1;
    value = (value << 4) | digit;
  }
  return value;
}

/** The character a one-letter escape stands for, or 0 if there is no such escape. */
export function simpleEscape(letter: u8): u8 {
  switch (letter) {
    case 0x22:
    case 0x2f:
    case 0x5c:
      return letter;
    case 0x62:
      return 0x08;
    case 0x66:
      return 0x0c;
    case 0x6e:
      return 0x0a;
    case 0x72:
      return 0x0d;
    case 0x74:
      return 0x09;
    default:
      return 0;
  }
}

/**
 * The code point of the `\uXXXX` escape, or pair of them, whose digits start at `at`; a surrogate without its
 * other half is U+FFFD. The digits of the first must have been checked.
 */
export function escapedCodePoint(at: usize, end: usize): u32 {
  const first = hex4(at, end);
  if ((first & 0xf800) != 0xd800) return first;
  if (isPair(at, end)) return 0x10000 + (((<u32>(first & 0x3ff)) << 10) | (hex4(at + 6, end) & 0x3ff));
  return REPLACEMENT;
}

/** Whether the digits at `at` are a high surrogate that an escaped low one follows. */
export function isPair(at: usize, end: usize): bool {
  if ((hex4(at, end) & 0xfc00) != 0xd800) return false;
  if (end - at < 10 || load<u8>(at, 4) != 0x5c || load<u8>(at, 5) != 0x75) return false;
  // what hex4 gives for no digits has all bits set, so it does not match
  return (hex4(at + 6, end) & 0xfc00) == 0xdc00;
}

/** Writes the text between the quotes of a checked string, unescaped, at `out`; returns where it ends. */
export function unescapeString(at: usize, end: usize, out: usize): usize {
  while (at < end) {
    const byte = load<u8>(at);
    if (byte == 0x5c) {
      const letter = load<u8>(at, 1);
      if (letter == 0x75) {
        const pair = isPair(at + 2, end);
        out += putCodePoint(out, escapedCodePoint(at + 2, end));
        at += pair ? 12 : 6;
      } else {
        store<u8>(out++, simpleEscape(letter));
        at += 2;
      }
    } else if (byte < 0x80) {
      store<u8>(out++, byte);
      at++;
    } else {
      const sequence = utf8Sequence(at, end);
      const code = sequence == 0 ? REPLACEMENT : codePointAt(at, sequence);
      out += putCodePoint(out, code);
      at += max(sequence, 1);
    }
  }
  return out;
}

/** Bytes the escape whose digits start at `at` comes to. */
export function escapedSize(at: usize, end: usize): i32 {
  return codePointSize(escapedCodePoint(at, end));
}
