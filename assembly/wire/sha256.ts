import { ByteWriter } from './bytes';
import { View, viewLen, viewPtr } from './view';

const BLOCK: i32 = 64;

/** Round constants: the first 32 bits of the fractional parts of the cube roots of the first 64 primes (FIPS 180-4). */
const ROUND: StaticArray<u32> = [
  0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5, 0xd807aa98,
  0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786,
  0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8,
  0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13,
  0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819,
  0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a,
  0x5b9cca4f, 0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7,
  0xc67178f2,
];

/** Scratch: the message schedule and the hash so far. */
const schedule = new StaticArray<u32>(64);
const state = new StaticArray<u32>(8);
const lastBlocks = new StaticArray<u8>(2 * BLOCK);

/** Writes the SHA-256 of the bytes as 64 lower-case hexadecimal digits. */
export function sha256Hex(v: View, out: ByteWriter): void {
  digest(v);
  for (let i = 0; i < 8; i++) out.hex(unchecked(state[i]), 8);
}

/** Writes the 32 bytes of the SHA-256 of the bytes. */
export function sha256(v: View, out: ByteWriter): void {
  digest(v);
  for (let i = 0; i < 8; i++) out.u32be(unchecked(state[i]));
}

/** Whether both hold the same bytes, in a time that depends on their lengths only. */
export function constantTimeEquals(a: View, b: View): bool {
  const len = viewLen(a);
  if (len != viewLen(b)) return false;
  let difference: u8 = 0;
  for (let i = 0; i < len; i++) difference |= load<u8>(viewPtr(a) + i) ^ load<u8>(viewPtr(b) + i);
  return difference == 0;
}

function digest(v: View): void {
  unchecked((state[0] = 0x6a09e667));
  unchecked((state[1] = 0xbb67ae85));
  unchecked((state[2] = 0x3c6ef372));
  unchecked((state[3] = 0xa54ff53a));
  unchecked((state[4] = 0x510e527f));
  unchecked((state[5] = 0x9b05688c));
  unchecked((state[6] = 0x1f83d9ab));
  unchecked((state[7] = 0x5be0cd19));
  const len = viewLen(v);
  let at = viewPtr(v);
  let left = len;
  for (; left >= BLOCK; left -= BLOCK) {
    compress(at);
    at += BLOCK;
  }
  // the rest, a one bit, zeros, and the length in bits at the end of a block
  const tail = changetype<usize>(lastBlocks);
  const size = left < BLOCK - 8 ? BLOCK : 2 * BLOCK;
  memory.fill(tail, 0, size);
  memory.copy(tail, at, left);
  store<u8>(tail + left, 0x80);
  store<u64>(tail + size - 8, bswap<u64>((<u64>len) << 3));
  compress(tail);
  if (size > BLOCK) compress(tail + BLOCK);
}

function compress(block: usize): void {
  for (let i = 0; i < 16; i++) unchecked((schedule[i] = bswap(load<u32>(block + (i << 2)))));
  for (let i = 16; i < 64; i++) {
    const early = unchecked(schedule[i - 15]);
    const late = unchecked(schedule[i - 2]);
    const small0 = rotr(early, 7) ^ rotr(early, 18) ^ (early >> 3);
    const small1 = rotr(late, 17) ^ rotr(late, 19) ^ (late >> 10);
    unchecked((schedule[i] = schedule[i - 16] + small0 + schedule[i - 7] + small1));
  }
  let a = unchecked(state[0]);
  let b = unchecked(state[1]);
  let c = unchecked(state[2]);
  let d = unchecked(state[3]);
  let e = unchecked(state[4]);
  let f = unchecked(state[5]);
  let g = unchecked(state[6]);
  let h = unchecked(state[7]);
  for (let i = 0; i < 64; i++) {
    const big1 = rotr(e, 6) ^ rotr(e, 11) ^ rotr(e, 25);
    const choice = (e & f) ^ (~e & g);
    const first = h + big1 + choice + unchecked(ROUND[i]) + unchecked(schedule[i]);
    const big0 = rotr(a, 2) ^ rotr(a, 13) ^ rotr(a, 22);
    const majority = (a & b) ^ (a & c) ^ (b & c);
    h = g;
    g = f;
    f = e;
    e = d + first;
    d = c;
    c = b;
    b = a;
    a = first + big0 + majority;
  }
  unchecked((state[0] += a));
  unchecked((state[1] += b));
  unchecked((state[2] += c));
  unchecked((state[3] += d));
  unchecked((state[4] += e));
  unchecked((state[5] += f));
  unchecked((state[6] += g));
  unchecked((state[7] += h));
}
