// Borrowed bytes in linear memory, as the host hands them over.

/** Pointer in the low 32 bits, length in the high 32; 0 is "no bytes". A plain number, so passing one costs nothing. */
export type Bytes = u64;

/** Packs a pointer and a length (in bytes). */
// @ts-ignore: decorator
@inline
export function bytes(ptr: usize, length: i32): Bytes {
  return ((<u64>(<u32>length)) << 32) | (<u64>ptr);
}

/** Where the bytes start. */
// @ts-ignore: decorator
@inline
export function bytesPtr(b: Bytes): usize {
  return <usize>(<u32>b);
}

/** How many bytes there are. */
// @ts-ignore: decorator
@inline
export function bytesLength(b: Bytes): i32 {
  return <i32>(<u32>(b >> 32));
}

/** Whether both are the same bytes. */
export function equal(a: Bytes, b: Bytes): bool {
  const length = bytesLength(a);
  return length == bytesLength(b) && memory.compare(bytesPtr(a), bytesPtr(b), length) == 0;
}

/** A constant text, encoded once and kept for the life of the VM. For module-level constants. */
export function constant(text: string): Bytes {
  const buffer = String.UTF8.encode(text);
  __pin(changetype<usize>(buffer));
  return bytes(changetype<usize>(buffer), buffer.byteLength);
}
