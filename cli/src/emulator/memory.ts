import { Status } from './abi.js';

/** A module's linear memory as the host reads and writes it. Views are made anew: memory may grow in any call. */
export class ModuleMemory {
  constructor(private readonly exports: () => Record<string, unknown>) {}

  get memory(): WebAssembly.Memory {
    return this.exports()['memory'] as WebAssembly.Memory;
  }

  get view(): DataView {
    return new DataView(this.memory.buffer);
  }

  /** A copy of `size` bytes at `ptr`. */
  read(ptr: number, size: number): Buffer {
    return Buffer.from(Buffer.from(this.memory.buffer, ptr >>> 0, size >>> 0));
  }

  /** Bytes as header text, one character each. */
  text(ptr: number, size: number): string {
    return this.read(ptr, size).toString('latin1');
  }

  word(ptr: number, value: number): void {
    this.view.setUint32(ptr >>> 0, value, true);
  }

  /** Copies bytes into memory the module allocates, and writes pointer and size where it asked for them. */
  give(data: Uint8Array, ptrAt: number, sizeAt: number): number {
    let ptr = 0;
    if (data.length > 0) {
      const allocate = this.exports()['proxy_on_memory_allocate'] ?? this.exports()['malloc'];
      ptr = (allocate as (size: number) => number)(data.length) >>> 0;
      if (ptr === 0) return Status.InternalFailure;
      new Uint8Array(this.memory.buffer).set(data, ptr);
    }
    this.word(ptrAt, ptr);
    this.word(sizeAt, data.length);
    return Status.Ok;
  }

  /** An AssemblyScript string. */
  string(ptr: number): string {
    if (ptr === 0) return '';
    return this.read(ptr, this.view.getUint32(ptr - 4, true)).toString('utf16le');
  }
}
