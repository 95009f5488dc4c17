import { View, viewByte, viewLen, viewPtr } from './view';

/** Whether the bytes are a decimal integer, with or without a minus sign, that fits in 64 bits with its sign. */
export function isInteger(v: View): bool {
  const negative = viewByte(v, 0) == 0x2d;
  const limit: u64 = negative ? (<u64>1) << 63 : i64.MAX_VALUE;
  const first = negative ? 1 : 0;
  const len = viewLen(v);
  const ptr = viewPtr(v);
  let value: u64 = 0;
  for (let i = first; i < len; i++) {
    const digit: u64 = load<u8>(ptr + i) - 0x30;
    if (digit > 9 || value > (limit - digit) / 10) return false;
    value = value * 10 + digit;
  }
  return len > first;
}

/** The number of bytes that `isInteger` holds for; 0 for others. */
export function toInteger(v: View): i64 {
  if (!isInteger(v)) return 0;
  const negative = viewByte(v, 0) == 0x2d;
  const len = viewLen(v);
  const ptr = viewPtr(v);
  let value: u64 = 0;
  for (let i = negative ? 1 : 0; i < len; i++) value = value * 10 + (load<u8>(ptr + i) - 0x30);
  return <i64>(negative ? 0 - value : value);
}
