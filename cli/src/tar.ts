const BLOCK = 512;

/**
 * A tar archive (POSIX ustar) of files in one folder.
 *
 * @param files contents by name; a name has at most 100 bytes
 * @param at when they were made
 */
export function tar(files: ReadonlyMap<string, string | Uint8Array>, at: Date): Buffer {
  const parts: Buffer[] = [];
  for (const [name, content] of files) {
    const bytes = Buffer.from(content as string);
    parts.push(header(name, bytes.length, at), bytes, Buffer.alloc(-bytes.length & (BLOCK - 1)));
  }
  // Two empty blocks end it.
  return Buffer.concat([...parts, Buffer.alloc(2 * BLOCK)]);
}

function header(name: string, size: number, at: Date): Buffer {
  if (Buffer.byteLength(name) > 100) throw new Error(`${name} is too long for a tar archive`);
  const block = Buffer.alloc(BLOCK);
  const octal = (value: number, width: number): string => `${value.toString(8).padStart(width - 1, '0')}\0`;
  block.write(name, 0);
  block.write(octal(0o600, 8), 100);
  block.write(octal(0, 8), 108);
  block.write(octal(0, 8), 116);
  block.write(octal(size, 12), 124);
  block.write(octal(Math.floor(at.getTime() / 1_000), 12), 136);
  block.write(' '.repeat(8), 148);
  block.write('0', 156);
  block.write('ustar\0' + '00', 257);
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  return block;
}

/**
 * The files of a tar archive by name, without a leading `./`; folders, links and whatever else it holds are left out.
 * It ends where an archive ends, or is broken.
 */
export function untar(archive: Uint8Array): Map<string, Uint8Array> {
  const files = new Map<string, Uint8Array>();
  const bytes = Buffer.from(archive.buffer, archive.byteOffset, archive.byteLength);
  for (let at = 0; at + BLOCK <= bytes.length;) {
    const text = (from: number, width: number): string =>
      bytes.toString('utf8', at + from, at + from + width).replace(/\0.*$/s, '');
    const name = text(0, 100);
    const size = parseInt(text(124, 12), 8);
    if (name === '' || !(size >= 0) || at + BLOCK + size > bytes.length) break;
    const kind = text(156, 1);
    if (kind === '' || kind === '0')
      files.set(name.replace(/^\.\//, ''), bytes.subarray(at + BLOCK, at + BLOCK + size));
    at += BLOCK + Math.ceil(size / BLOCK) * BLOCK;
  }
  return files;
}
