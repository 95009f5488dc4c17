import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));
const folder = join(root, 'dist/test/wire');

type Exports = Record<string, (...args: number[]) => number | bigint | undefined> & {
  memory: { buffer: ArrayBuffer };
};

/** What a function of the module returned, and the bytes it left. */
export interface Answer {
  result: number | bigint | undefined;
  output: Buffer;
}

/** One entry of a batch: what to do with the bytes. */
export interface Entry {
  kind: number;
  bytes: Uint8Array;
}

/** What became of one entry. */
export interface Outcome {
  status: number;
  bytes: Uint8Array;
}

/** The codecs of assembly/wire in a module of their own, compiled with the options of the release. */
export class Harness {
  private constructor(private readonly exports: Exports) {}

  /** Compiles what changed and starts a fresh instance. */
  static async load(): Promise<Harness> {
    const module = await WebAssembly.compile(readFileSync(compiled()));
    const abort = () => {
      throw new Error('the module called abort');
    };
    const instance = new WebAssembly.Instance(module, { env: { abort } });
    return new Harness(instance.exports as unknown as Exports);
  }

  /** Bytes of linear memory; it never shrinks. */
  get memoryBytes(): number {
    return this.exports.memory.buffer.byteLength;
  }

  /** Calls an exported function with a pointer to the bytes, their length, and what else it takes. */
  call(name: string, input: Uint8Array | string = '', ...more: number[]): Answer {
    const bytes = typeof input === 'string' ? Buffer.from(input) : input;
    const ptr = Number(this.run('allocate', bytes.length));
    new Uint8Array(this.exports.memory.buffer, ptr, bytes.length).set(bytes);
    const result = this.run(name, ptr, bytes.length, ...more);
    const output = this.output();
    this.run('release', ptr);
    return { result, output };
  }

  /** Calls a function that takes numbers only. */
  run(name: string, ...args: number[]): number | bigint | undefined {
    const target = this.exports[name];
    if (!target) throw new Error(`the module does not export ${name}`);
    return target(...args);
  }

  /** The bytes the last call left. */
  output(): Buffer {
    const ptr = Number(this.run('outPtr')) >>> 0;
    return Buffer.from(new Uint8Array(this.exports.memory.buffer, ptr, Number(this.run('outLen'))).slice());
  }

  /** Calls a batch function with all entries at once. */
  batch(name: string, entries: readonly Entry[]): Outcome[] {
    const input = Buffer.alloc(entries.reduce((sum, { bytes }) => sum + 5 + bytes.length, 0));
    let at = 0;
    for (const { kind, bytes } of entries) {
      input[at] = kind;
      input.writeUInt32LE(bytes.length, at + 1);
      input.set(bytes, at + 5);
      at += 5 + bytes.length;
    }
    const { output } = this.call(name, input);
    const outcomes: Outcome[] = [];
    for (let from = 0; from < output.length;) {
      const length = output.readUInt32LE(from + 1);
      outcomes.push({ status: output[from]!, bytes: output.subarray(from + 5, from + 5 + length) });
      from += 5 + length;
    }
    if (outcomes.length !== entries.length) {
      throw new Error(`${name} answered ${outcomes.length} of ${entries.length} entries`);
    }
    return outcomes;
  }
}

/** The file name of the compiled module; its name holds a hash of all it is made of. */
function compiled(): string {
  const options = readFileSync(join(root, 'asconfig.json'), 'utf8');
  const hash = createHash('sha256').update(options);
  for (const file of [...sources('assembly/wire'), ...sources('test/wire/assembly')]) {
    hash.update(file).update(readFileSync(join(root, file)));
  }
  const target = join(folder, `harness-${hash.digest('hex').slice(0, 16)}.wasm`);
  if (existsSync(target)) return target;
  mkdirSync(folder, { recursive: true });
  // several workers may compile at once: each to a file of its own, then renamed
  const aside = `${target}.${process.pid}`;
  const asc = join(root, 'node_modules/assemblyscript/bin/asc.js');
  const args = [asc, 'test/wire/assembly/harness.ts', '--config', 'none', '--outFile', aside];
  const { status, stdout, stderr } = spawnSync(process.execPath, [...args, ...releaseFlags(options)], {
    cwd: root,
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(`asc failed:\n${stdout}${stderr}`);
  renameSync(aside, target);
  for (const name of readdirSync(folder)) {
    if (name.endsWith('.wasm') && name !== basename(target)) rmSync(join(folder, name), { force: true });
  }
  return target;
}

function sources(under: string): string[] {
  return readdirSync(join(root, under), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => `${under}/${name}`)
    .sort();
}

/** The options of the release as flags, but for `use`: it names what a host provides, and this module has none. */
function releaseFlags(options: string): string[] {
  const { targets } = JSON.parse(options) as {
    targets: { release: Record<string, string | number | boolean> };
  };
  return Object.entries(targets.release).flatMap(([name, value]) => {
    if (name === 'use' || value === false) return [];
    return value === true ? [`--${name}`] : [`--${name}`, String(value)];
  });
}
