import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const results = fileURLToPath(new URL('../.results/', import.meta.url));

/** Numbers that follow from a seed (mulberry32), so that a failing run can be had again. */
export class Random {
  private state: number;

  constructor(readonly seed: number) {
    this.state = seed >>> 0;
  }

  /** The seed in `FUZZ_SEED`, or a new one; printed, with what it is for. */
  static announced(name: string): Random {
    const given = process.env['FUZZ_SEED'];
    const seed = given === undefined ? Math.floor(Math.random() * 0x1_0000_0000) : Number(given);
    if (!Number.isInteger(seed)) throw new Error(`FUZZ_SEED must be an integer, not "${given}"`);
    process.stderr.write(`${name}: FUZZ_SEED=${seed}\n`);
    return new Random(seed);
  }

  /** 32 random bits. */
  bits(): number {
    this.state = (this.state + 0x6d2b79f5) >>> 0;
    let t = this.state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return (t ^ (t >>> 14)) >>> 0;
  }

  /** A whole number from 0 up to, not including, `limit`. */
  below(limit: number): number {
    return this.bits() % limit;
  }

  /** True once in `n`. */
  oneIn(n: number): boolean {
    return this.below(n) === 0;
  }

  pick<T>(from: readonly T[]): T {
    return from[this.below(from.length)]!;
  }

  bytes(length: number): Uint8Array {
    return Uint8Array.from({ length }, () => this.bits() & 0xff);
  }

  /** 64 random bits, small or near a boundary more often than by chance. */
  word(): bigint {
    const shift = BigInt(this.below(65));
    const value = ((BigInt(this.bits()) << 32n) | BigInt(this.bits())) >> shift;
    return this.oneIn(4) ? BigInt.asUintN(64, -value) : value;
  }

  /** Text of ASCII, and now and then other scripts, quotes and control characters. */
  text(limit = 24): string {
    let text = '';
    for (let left = this.below(limit); left > 0; left--) {
      if (!this.oneIn(6)) text += String.fromCharCode(0x61 + this.below(26));
      else
        text += this.pick([
          'é',
          '日',
          '😀',
          '"',
          '\\',
          '\n',
          '\u0000',
          ' ',
          '\u007f',
          '\u2028',
          '\ufffd',
          '/',
        ]);
    }
    return text;
  }

  /**
   * The bytes with one to four accidents: bits turned over, bytes lost, doubled, put in or overwritten.
   * @param alphabet what is put in; by default bytes at the edges of what they may be
   */
  mutate(input: Uint8Array, alphabet: Uint8Array = EDGES): Uint8Array {
    let bytes = [...input];
    for (let times = 1 + this.below(4); times > 0; times--) {
      const at = this.below(bytes.length + 1);
      const size = 1 + this.below(4);
      switch (this.below(7)) {
        case 0:
          if (at < bytes.length) bytes[at]! ^= 1 << this.below(8);
          break;
        case 1:
          bytes = bytes.slice(0, at);
          break;
        case 2:
          bytes.splice(at, size);
          break;
        case 3:
          bytes.splice(at, 0, ...bytes.slice(at, at + this.below(16)));
          break;
        case 4:
          bytes.splice(at, 0, ...Array.from({ length: size }, () => this.pick([...alphabet])));
          break;
        case 5:
          if (at < bytes.length) bytes[at] = this.pick([...alphabet]);
          break;
        default:
          bytes.splice(at, size, ...this.bytes(size));
      }
    }
    return Uint8Array.from(bytes);
  }
}

const EDGES = Uint8Array.of(
  0x00,
  0x01,
  0x02,
  0x07,
  0x08,
  0x0a,
  0x12,
  0x1a,
  0x7f,
  0x80,
  0xc0,
  0xed,
  0xf4,
  0xff,
);

/** Keeps an input that failed, and says where, in the error to throw. */
export function failure(name: string, seed: number, input: Uint8Array, problem: string): Error {
  mkdirSync(results, { recursive: true });
  const file = join(results, `${name}-${seed}.bin`);
  writeFileSync(file, input);
  return new Error(
    `${problem}\nFUZZ_SEED=${seed}; the input is in ${file}: ${Buffer.from(input).toString('hex')}`,
  );
}
