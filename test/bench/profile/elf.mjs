import { readFileSync } from 'node:fs';

/**
 * Names for a C++ program without symbols, for the profile of Envoy.
 *
 * A stripped binary still holds the names of its classes (run-time type information) and with each the functions
 * that can be called through it, its virtual ones; and the unwinder's table says where every function begins. A
 * function without a name of its own stands, as the linker left it, among those of its source file and library, so
 * its neighbours' class says what part of the program it belongs to.
 */
export class Binary {
  #data;
  #sections = new Map();
  #segments = [];
  /** Address of every relocated pointer, and where it points. */
  #pointers = new Map();
  #names = new Map();
  #starts;
  #namedStarts;

  /** @param {string} path an ELF file for a 64-bit little-endian machine */
  constructor(path) {
    this.#data = readFileSync(path);
    if (this.#data.toString('latin1', 0, 4) !== '\x7fELF') throw new Error(`${path} is not an ELF file`);
    this.#readHeaders();
    this.#starts = this.#functionStarts();
    this.#readPointers();
    this.#readClasses();
    this.#readDynamicSymbols();
    this.#namedStarts = [...this.#names.keys()].sort((a, b) => a - b);
  }

  /** Address in memory, relative to where the program was loaded, of a position in the file. */
  addressOf(offset) {
    const segment = this.#segments.find((one) => offset >= one.offset && offset < one.offset + one.size);
    return segment === undefined ? offset : offset - segment.offset + segment.address;
  }

  /** Name of the section that an address lies in. */
  sectionOf(address) {
    for (const [name, { address: from, size }] of this.#sections)
      if (from !== 0 && address >= from && address < from + size) return name;
    return '';
  }

  /**
   * @param {number} address
   * @returns {{ start: number, name?: string, near: string[] }} the function that holds it; `near` are the named
   *   ones closest to it, three on either side
   */
  functionAt(address) {
    const start = lastAtMost(this.#starts, address) ?? address;
    const index = firstAbove(this.#namedStarts, start);
    const around = this.#namedStarts.slice(Math.max(0, index - 3), index + 3);
    return {
      start,
      name: this.#names.get(start),
      near: around.filter((one) => Math.abs(one - start) < 0x10000).map((one) => this.#names.get(one)),
    };
  }

  #readHeaders() {
    const data = this.#data;
    const [phoff, shoff] = [Number(data.readBigUInt64LE(32)), Number(data.readBigUInt64LE(40))];
    const [phsize, phnum, shsize, shnum, shstr] = [54, 56, 58, 60, 62].map((at) => data.readUInt16LE(at));
    for (let index = 0; index < phnum; index++) {
      const at = phoff + index * phsize;
      if (data.readUInt32LE(at) !== 1) continue;
      const [offset, address, , size] = [8, 16, 24, 32].map((add) => Number(data.readBigUInt64LE(at + add)));
      this.#segments.push({ offset, address, size });
    }
    const header = (index) => {
      const at = shoff + index * shsize;
      const [address, offset, size] = [16, 24, 32].map((add) => Number(data.readBigUInt64LE(at + add)));
      return { name: data.readUInt32LE(at), address, offset, size };
    };
    const names = header(shstr).offset;
    for (let index = 1; index < shnum; index++) {
      const section = header(index);
      this.#sections.set(this.#string(names + section.name), section);
    }
  }

  #string(offset) {
    return this.#data.toString('latin1', offset, this.#data.indexOf(0, offset));
  }

  /** Sorted begins of all functions, from `.eh_frame_hdr`: pairs of 32-bit offsets from that section. */
  #functionStarts() {
    const { offset, address } = this.#sections.get('.eh_frame_hdr');
    const count = this.#data.readUInt32LE(offset + 8);
    const starts = new Float64Array(count);
    for (let index = 0; index < count; index++)
      starts[index] = address + this.#data.readInt32LE(offset + 12 + index * 8);
    return starts.sort();
  }

  #readPointers() {
    const { offset, size } = this.#sections.get('.rela.dyn');
    for (let at = offset; at < offset + size; at += 24) {
      // R_X86_64_RELATIVE and R_AARCH64_RELATIVE
      const kind = this.#data.readUInt32LE(at + 8);
      if (kind !== 8 && kind !== 1027) continue;
      this.#pointers.set(Number(this.#data.readBigUInt64LE(at)), Number(this.#data.readBigInt64LE(at + 16)));
    }
  }

  /** Type information is {pointer to its own class, pointer to the name, …}; a table is {type, function, …}. */
  #readClasses() {
    const rodata = this.#sections.get('.rodata');
    const text = this.#sections.get('.text');
    const inside = (section, address) =>
      address >= section.address && address < section.address + section.size;
    const types = new Map();
    for (const [at, to] of this.#pointers) {
      if (!inside(rodata, to) || !this.#pointers.has(at - 8)) continue;
      const offset = to - rodata.address + rodata.offset;
      const head = this.#data[offset];
      // A mangled name starts with its length, or with N for a nested one.
      if (head !== 0x4e && !(head >= 0x31 && head <= 0x39)) continue;
      const name = className(this.#string(offset));
      if (name !== undefined) types.set(at - 8, name);
    }
    for (const [at, to] of this.#pointers) {
      const name = types.get(to);
      if (name === undefined) continue;
      for (let slot = 0; ; slot++) {
        const target = this.#pointers.get(at + 8 + slot * 8);
        if (target === undefined || !inside(text, target)) break;
        const label = `${name}#${slot}`;
        const known = this.#names.get(target);
        // A function that several classes share belongs to the base, whose name is usually the shortest.
        if (known === undefined || label.length < known.length) this.#names.set(target, label);
      }
    }
  }

  #readDynamicSymbols() {
    const symbols = this.#sections.get('.dynsym');
    const names = this.#sections.get('.dynstr');
    for (let at = symbols.offset; at < symbols.offset + symbols.size; at += 24) {
      const address = Number(this.#data.readBigUInt64LE(at + 8));
      const isFunction = (this.#data[at + 4] & 15) === 2;
      if (address !== 0 && isFunction)
        this.#names.set(address, this.#string(names.offset + this.#data.readUInt32LE(at)));
    }
  }
}

/**
 * `Envoy::Http::FilterManager` from `N5Envoy4Http13FilterManagerE`; template arguments are left out.
 *
 * @returns {string | undefined} undefined if that is no name of a class
 */
export function className(mangled) {
  let at = mangled.startsWith('N') ? 1 : 0;
  const parts = [];
  for (;;) {
    const digits = /^\d+/.exec(mangled.slice(at, at + 3))?.[0];
    if (digits !== undefined) {
      at += digits.length;
      const part = mangled.slice(at, at + Number(digits));
      if (part.length !== Number(digits) || !/^\w+$/.test(part)) return undefined;
      parts.push(part === '_GLOBAL__N_1' ? '(anonymous)' : part);
      at += part.length;
    } else if (mangled.startsWith('St', at) && parts.length === 0) {
      parts.push('std');
      at += 2;
    } else break;
  }
  return parts.length === 0 ? undefined : parts.join('::');
}

function lastAtMost(sorted, value) {
  const index = firstAbove(sorted, value);
  return index === 0 ? undefined : sorted[index - 1];
}

function firstAbove(sorted, value) {
  let [low, high] = [0, sorted.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (sorted[middle] <= value) low = middle + 1;
    else high = middle;
  }
  return low;
}
