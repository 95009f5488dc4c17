import { View, view, viewLen, viewPtr } from './view';

/** Most bytes a writer holds unless told otherwise. */
export const DEFAULT_MAX_BYTES: i32 = 64 << 20;

/** A buffer larger than this is given back by `reset`, so that one large message does not stay in memory. */
const KEEP_BYTES: i32 = 64 << 10;

/**
 * Bytes being written, in a buffer outside the garbage collector that grows up to a limit. Past the limit `ok`
 * turns false, that write and all later ones are dropped, and `view` and `take` give nothing until `reset`.
 * No view given to a write may point into the same writer: its buffer may move.
 */
export class ByteWriter {
  /** False once a write did not fit into the limit. */
  ok: bool = true;
  private buffer: usize = 0;
  private capacity: i32 = 0;
  private used: i32 = 0;

  /**
   * @param initial bytes to allocate at the first write
   * @param limit most bytes to hold
   */
  constructor(
    private initial: i32 = 256,
    private limit: i32 = DEFAULT_MAX_BYTES,
  ) {}

  /** Bytes written so far. */
  get length(): i32 {
    return this.used;
  }

  /** Forgets what was written; views of it are good no longer. */
  reset(): void {
    this.forget(KEEP_BYTES);
  }

  /** As `reset`, giving the buffer back if it is larger than `keep` bytes. */
  forget(keep: i32): void {
    this.ok = true;
    this.used = 0;
    if (this.capacity > keep) this.free();
  }

  /** Gives the buffer back; the writer can be used again. */
  free(): void {
    heap.free(this.buffer);
    this.buffer = 0;
    this.capacity = 0;
    this.used = 0;
    this.ok = true;
  }

  /** What was written, good until the next write, `reset` or `free`; the empty view if not `ok`. */
  view(): View {
    return this.ok ? view(this.buffer, this.used) : 0;
  }

  /**
   * What was written, now the caller's: to be freed with `heap.free(viewPtr(v))`. The writer starts empty again.
   * The empty view, which needs no freeing, if nothing was written or not `ok`.
   */
  take(): View {
    if (!this.ok || this.used == 0) {
      this.reset();
      return 0;
    }
    const taken = view(this.buffer, this.used);
    this.buffer = 0;
    this.capacity = 0;
    this.used = 0;
    return taken;
  }

  /** Makes room for `count` more bytes and returns where they go, or 0 if they do not fit. */
  reserve(count: i32): usize {
    if (!this.ok || count < 0 || count > this.limit - this.used) {
      this.ok = false;
      return 0;
    }
    const needed = this.used + count;
    if (needed > this.capacity) this.grow(needed);
    const at = this.buffer + this.used;
    this.used = needed;
    return at;
  }

  private grow(needed: i32): void {
    const doubled = <i32>min<i64>((<i64>this.capacity) << 1, this.limit);
    const capacity = max(max(doubled, this.initial), needed);
    this.buffer = this.buffer == 0 ? heap.alloc(capacity) : heap.realloc(this.buffer, capacity);
    this.capacity = capacity;
  }

  /** Drops what was written after the first `length` bytes. */
  truncate(length: i32): void {
    if (length >= 0 && length < this.used) this.used = length;
  }

  u8(value: u8): void {
    const at = this.reserve(1);
    if (at != 0) store<u8>(at, value);
  }

  u32be(value: u32): void {
    const at = this.reserve(4);
    if (at != 0) store<u32>(at, bswap(value));
  }

  u32le(value: u32): void {
    const at = this.reserve(4);
    if (at != 0) store<u32>(at, value);
  }

  u64le(value: u64): void {
    const at = this.reserve(8);
    if (at != 0) store<u64>(at, value);
  }

  /** The bytes of a view as they are. */
  raw(v: View): void {
    const len = viewLen(v);
    if (len == 0) return;
    const at = this.reserve(len);
    if (at != 0) memory.copy(at, viewPtr(v), len);
  }

  /** A string as UTF-8; lone surrogates become U+FFFD. */
  text(s: string): void {
    const len = String.UTF8.byteLength(s);
    if (len == 0) return;
    const at = this.reserve(len);
    if (at == 0) return;
    String.UTF8.encodeUnsafe(changetype<usize>(s), s.length, at, false, String.UTF8.ErrorMode.REPLACE);
  }

  /** A protobuf base-128 varint. */
  varint(value: u64): void {
    while (value >= 0x80) {
      this.u8((<u8>value) | 0x80);
      value >>= 7;
    }
    this.u8(<u8>value);
  }

  /** The tag of a protobuf field. */
  tag(field: u32, wireType: u32): void {
    this.varint((field << 3) | wireType);
  }

  /** A protobuf field of bytes, text or an encoded message: tag, length, bytes. */
  lenDelimited(field: u32, v: View): void {
    this.tag(field, 2);
    this.delimited(v);
  }

  /** Length as a varint, then the bytes. */
  delimited(v: View): void {
    this.varint(viewLen(v));
    this.raw(v);
  }

  /** The number in decimal ASCII. */
  decimal(value: i64): void {
    // the magnitude of the smallest i64 does not fit an i64
    let rest: u64 = value < 0 ? 0 - <u64>value : <u64>value;
    if (value < 0) this.u8(0x2d);
    let digits = 1;
    for (let n = rest; n >= 10; n /= 10) digits++;
    const at = this.reserve(digits);
    if (at == 0) return;
    for (let i = digits - 1; i >= 0; i--) {
      store<u8>(at + i, <u8>(0x30 + (rest % 10)));
      rest /= 10;
    }
  }

  /** `width` lower-case hexadecimal digits of the number, most significant first. */
  hex(value: u64, width: i32): void {
    const at = this.reserve(width);
    if (at == 0) return;
    for (let i = width - 1; i >= 0; i--) {
      const digit = <u8>(value & 0xf);
      store<u8>(at + i, digit < 10 ? 0x30 + digit : 0x57 + digit);
      value >>= 4;
    }
  }
}
