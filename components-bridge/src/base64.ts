/**
 * `Uint8Array.prototype.toBase64`, where Node has none (before 25). protobuf-es takes it for bytes in JSON if it is there
 * when that package is loaded, and else puts the text together character by character: 150 ms for a mebibyte, in which
 * the bridge serves nobody; this one takes 3. So this module is loaded before the rest of the bridge.
 *
 * As TC39's "Uint8Array to/from base64 and hex" has it; what is there already stays.
 */

interface Options {
  alphabet?: 'base64' | 'base64url';
  omitPadding?: boolean;
}

/** @throws TypeError for an alphabet that there is not, and for what are no bytes */
export function toBase64(this: Uint8Array, options: Options = {}): string {
  if (!(this instanceof Uint8Array)) throw new TypeError('toBase64 is of a Uint8Array');
  const { alphabet = 'base64', omitPadding = false } = options;
  if (alphabet !== 'base64' && alphabet !== 'base64url')
    throw new TypeError(`there is no alphabet ${String(alphabet)}`);
  const url = alphabet === 'base64url';
  const bytes = Buffer.from(this.buffer, this.byteOffset, this.byteLength);
  const text = bytes.toString(alphabet);
  if (url === omitPadding) return text;
  return omitPadding ? text.replace(/=+$/, '') : text.padEnd(Math.ceil(text.length / 4) * 4, '=');
}

if (!('toBase64' in Uint8Array.prototype))
  Object.defineProperty(Uint8Array.prototype, 'toBase64', {
    value: toBase64,
    writable: true,
    configurable: true,
  });
