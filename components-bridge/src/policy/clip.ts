/** Longest piece of a caller's text that is repeated in an error message, in bytes of UTF-8. */
const QUOTED_BYTES = 256;

/** Cuts a text that goes into an error message, and so into a header, between characters. */
export function clip(text: string): string {
  if (text.length * 3 <= QUOTED_BYTES) return text;
  const bytes = Buffer.from(text);
  if (bytes.length <= QUOTED_BYTES) return text;
  let end = QUOTED_BYTES;
  while (end > 0 && ((bytes[end] ?? 0) & 0xc0) === 0x80) end--;
  return bytes.toString('utf8', 0, end);
}
