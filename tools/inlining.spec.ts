import { describe, expect, it } from '@jest/globals';
import asc from 'assemblyscript/asc';

import { withoutInlining } from './inlining.mjs';

const SOURCE = `
  function long(x: i32): i32 { for (let i = 0; i < 9; i++) x = x * 31 + (x >> 3) ^ i; return x; }
  export function often(x: i32): i32 { return long(x) + long(x + 1) + long(x + 2); }
  export function seldom(x: i32): i32 { const y = x + 7; return long(y) - long(y + 1) + long(y + 3); }
  export function leaf(x: i32): i32 { return x * 3; }
`;

async function compiled(): Promise<Uint8Array> {
  let wasm: Uint8Array | undefined;
  const { error } = await asc.main(['m.ts', '--outFile', 'm.wasm', '--runtime', 'stub', '--debug'], {
    readFile: (name) => (name === 'm.ts' ? SOURCE : null),
    writeFile: (name, content) => {
      if (name === 'm.wasm') wasm = content as Uint8Array;
    },
    listFiles: () => [],
  });
  if (error !== null || wasm === undefined) throw error ?? new Error('nothing was compiled');
  return wasm;
}

type Exported = Record<'often' | 'seldom' | 'leaf', (x: number) => number>;

async function exportsOf(wasm: Uint8Array): Promise<Exported> {
  const instance = new WebAssembly.Instance(await WebAssembly.compile(wasm), {});
  return instance.exports as Exported;
}

/** The bodies of a module's functions. */
function bodies(wasm: Uint8Array): Uint8Array[] {
  let at = 8;
  const number = (): number => {
    for (let value = 0, shift = 0; ; shift += 7) {
      const byte = wasm[at++]!;
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
  };
  for (;;) {
    const id = wasm[at++];
    const length = number();
    if (id === 10) break;
    at += length;
  }
  return Array.from({ length: number() }, () => {
    const length = number();
    at += length;
    return wasm.subarray(at - length, at);
  });
}

describe('functions of a module, or some of them', () => {
  it('do the same as before, and so do all others', async () => {
    const wasm = await compiled();
    const before = await exportsOf(wasm);
    const after = await exportsOf(withoutInlining(wasm, (name) => name === 'm/seldom'));
    for (const x of [0, 1, -5, 1 << 30]) {
      expect(after.seldom(x)).toBe(before.seldom(x));
      expect(after.often(x)).toBe(before.often(x));
      expect(after.leaf(x)).toBe(before.leaf(x));
    }
  });

  it('use up what V8 would put into them, if they call anything', async () => {
    const wasm = await compiled();
    const [before, after] = [bodies(wasm), bodies(withoutInlining(wasm, (name) => /seldom|leaf/.test(name)))];
    const fillers = after.slice(before.length);
    expect(fillers.every((body) => body.subarray(1, -1).every((byte) => byte === 1))).toBe(true);
    const longer = before.flatMap((body, index) => (after[index]!.length > body.length ? [index] : []));
    expect(longer).toHaveLength(1);
    const body = after[longer[0]!]!;
    const added = body.length - before[longer[0]!]!.length;
    // Behind the number of groups of locals, and such a group if there is one.
    const start = body[0] === 0 ? 1 : 3;
    let budget = Math.max(50, 3 * body.length);
    // Two bytes each: `call`, and which one.
    for (let i = 0; i < added; i += 2) {
      expect(body[start + i]).toBe(0x10);
      const { length } = after[body[start + i + 1]!]!;
      expect(length).toBeLessThan(budget);
      budget -= length;
    }
    expect(budget).toBeLessThanOrEqual(40);
  });

  it('are known by names, which do not stay', async () => {
    const wasm = await compiled();
    expect(Buffer.from(wasm).includes('m/seldom')).toBe(true);
    expect(withoutInlining(wasm, () => true).includes('m/seldom')).toBe(false);
  });
});
