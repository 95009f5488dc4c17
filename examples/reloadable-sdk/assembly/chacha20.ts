// ChaCha20 as RFC 8439 describes it, section 2.4: it hides what is sent, and does not show whether that was changed on
// the way.

const KEY_BYTES: i32 = 32;
/** Bytes of a nonce, which must never be used twice with one key. */
export const NONCE_BYTES: i32 = 12;

/** Constants, key, counter and nonce; and the block that becomes key stream. */
const state = new StaticArray<u32>(16);
const block = new StaticArray<u32>(16);

function quarterRound(a: i32, b: i32, c: i32, d: i32): void {
  block[a] += block[b];
  block[d] = rotl<u32>(block[d] ^ block[a], 16);
  block[c] += block[d];
  block[b] = rotl<u32>(block[b] ^ block[c], 12);
  block[a] += block[b];
  block[d] = rotl<u32>(block[d] ^ block[a], 8);
  block[c] += block[d];
  block[b] = rotl<u32>(block[b] ^ block[c], 7);
}

/** Encrypts or decrypts `length` bytes in place. @param key 32 bytes @param nonce 12 bytes */
export function chacha20(key: usize, nonce: usize, bytes: usize, length: i32): void {
  state[0] = 0x61707865;
  state[1] = 0x3320646e;
  state[2] = 0x79622d32;
  state[3] = 0x6b206574;
  for (let i = 0; i < KEY_BYTES / 4; i++) state[4 + i] = load<u32>(key + 4 * i);
  for (let i = 0; i < NONCE_BYTES / 4; i++) state[13 + i] = load<u32>(nonce + 4 * i);
  state[12] = 1;
  for (let at = 0; at < length; at += 64, state[12]++) {
    for (let i = 0; i < 16; i++) block[i] = state[i];
    for (let round = 0; round < 10; round++) {
      quarterRound(0, 4, 8, 12);
      quarterRound(1, 5, 9, 13);
      quarterRound(2, 6, 10, 14);
      quarterRound(3, 7, 11, 15);
      quarterRound(0, 5, 10, 15);
      quarterRound(1, 6, 11, 12);
      quarterRound(2, 7, 8, 13);
      quarterRound(3, 4, 9, 14);
    }
    for (let i = 0; i < 16; i++) block[i] += state[i];
    const end = min(64, length - at);
    const stream = changetype<usize>(block);
    for (let i = 0; i < end; i++) store<u8>(bytes + at + i, load<u8>(bytes + at + i) ^ load<u8>(stream + i));
  }
}
