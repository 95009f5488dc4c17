import { decodeHuffman } from './huffman.js';

/** A header as it stands on the wire: bytes as latin1 text, so that anything can be said and nothing is lost. */
export type HeaderField = readonly [name: string, value: string];

/** RFC 7541, appendix A, from index 1. */
const STATIC_TABLE: readonly HeaderField[] = (
  ':authority|:method=GET|:method=POST|:path=/|:path=/index.html|:scheme=http|:scheme=https|:status=200|' +
  ':status=204|:status=206|:status=304|:status=400|:status=404|:status=500|accept-charset|' +
  'accept-encoding=gzip, deflate|accept-language|accept-ranges|accept|access-control-allow-origin|age|allow|' +
  'authorization|cache-control|content-disposition|content-encoding|content-language|content-length|' +
  'content-location|content-range|content-type|cookie|date|etag|expect|expires|from|host|if-match|' +
  'if-modified-since|if-none-match|if-range|if-unmodified-since|last-modified|link|location|max-forwards|' +
  'proxy-authenticate|proxy-authorization|range|referer|refresh|retry-after|server|set-cookie|' +
  'strict-transport-security|transfer-encoding|user-agent|vary|via|www-authenticate'
)
  .split('|')
  .map((entry) => {
    const [name = '', value = ''] = entry.split('=');
    return [name, value];
  });

/** A header block of literals that are neither indexed nor compressed: what is given is what is sent. */
export function encodeHeaders(fields: readonly HeaderField[]): Buffer {
  const parts: Buffer[] = [];
  for (const [name, value] of fields) {
    parts.push(Buffer.of(0), prefixed(name), prefixed(value));
  }
  return Buffer.concat(parts);
}

function prefixed(text: string): Buffer {
  const bytes = Buffer.from(text, 'latin1');
  return Buffer.concat([integer(bytes.length), bytes]);
}

/** An integer with a prefix of 7 bits, whose other bit is 0. */
function integer(value: number): Buffer {
  if (value < 127) return Buffer.of(value);
  const bytes = [127];
  let rest = value - 127;
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 128);
  return Buffer.from([...bytes, rest]);
}

/**
 * Reads a header block of a peer that was told to keep no dynamic table (SETTINGS_HEADER_TABLE_SIZE 0).
 *
 * @throws Error if it is malformed, or refers to such a table
 */
export function decodeHeaders(block: Buffer): HeaderField[] {
  const fields: HeaderField[] = [];
  let at = 0;
  const read = (prefixBits: number): number => {
    const mask = 2 ** prefixBits - 1;
    let value = byteAt(block, at++) & mask;
    if (value < mask) return value;
    for (let scale = 1; ; scale *= 128) {
      const byte = byteAt(block, at++);
      value += (byte & 127) * scale;
      if (byte < 128) return value;
    }
  };
  const text = (): string => {
    const huffman = (byteAt(block, at) & 128) !== 0;
    const length = read(7);
    const bytes = block.subarray(at, at + length);
    if (bytes.length < length) throw new Error('a header block ends inside a text');
    at += length;
    return huffman ? decodeHuffman(bytes) : bytes.toString('latin1');
  };
  while (at < block.length) {
    const first = byteAt(block, at);
    if (first >= 128) {
      fields.push(entry(read(7)));
    } else if (first >= 32 && first < 64) {
      if (read(5) !== 0) throw new Error('the peer keeps a dynamic table');
    } else {
      const index = read(first >= 64 ? 6 : 4);
      fields.push([index === 0 ? text() : entry(index)[0], text()]);
    }
  }
  return fields;
}

function entry(index: number): HeaderField {
  const found = STATIC_TABLE[index - 1];
  if (found === undefined) throw new Error(`a header block names entry ${index} of a table that is not kept`);
  return found;
}

function byteAt(block: Buffer, at: number): number {
  const byte = block[at];
  if (byte === undefined) throw new Error('a header block ends too early');
  return byte;
}
