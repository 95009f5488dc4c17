/**
 * The smallest module that Envoy accepts as a proxy-wasm filter: it lets every request pass. Tests of the
 * configuration around the module use it, so they need no build of the real one.
 */
export function tinyModule(): Uint8Array {
  const types = [
    [0x60, 0, 0], // () -> ()
    [0x60, 1, I32, 1, I32], // (i32) -> i32
    [0x60, 2, I32, I32, 0], // (i32, i32) -> ()
    [0x60, 2, I32, I32, 1, I32], // (i32, i32) -> i32
  ];
  const functions: [name: string, type: number, body: number[]][] = [
    ['proxy_abi_version_0_2_1', 0, []],
    // Everything is put at the same place: nothing is ever read.
    ['proxy_on_memory_allocate', 1, [0x41, 0]],
    ['proxy_on_context_create', 2, []],
    ['proxy_on_vm_start', 3, [0x41, 1]],
    ['proxy_on_configure', 3, [0x41, 1]],
  ];
  const exported = functions.map(([name], index) => [...text(name), 0x00, index]);
  return Uint8Array.from([
    ...[0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...section(1, types),
    ...section(
      3,
      functions.map(([, type]) => [type]),
    ),
    // Two pages, and no more.
    ...section(5, [[0x01, 2, 2]]),
    ...section(7, [[...text('memory'), 0x02, 0], ...exported]),
    ...section(
      10,
      functions.map(([, , body]) => [...size(body.length + 2), 0, ...body, 0x0b]),
    ),
  ]);
}

/** The same as a function, which says only that it is one: it answers nothing. */
export function tinyFunction(name: string, version: string): Uint8Array {
  const said = { schema: 1, name, version, function: true, protocol: 1 };
  const content = JSON.stringify({ ...said, primitives: [], services: [], capabilities: [] });
  const custom = [...text('layotto.module'), ...Buffer.from(content)];
  return Uint8Array.from([...tinyModule(), 0, ...size(custom.length), ...custom]);
}

const I32 = 0x7f;

function section(id: number, entries: number[][]): number[] {
  const body = [...size(entries.length), ...entries.flat()];
  return [id, ...size(body.length), ...body];
}

function text(value: string): number[] {
  return [...size(value.length), ...Buffer.from(value)];
}

/** Unsigned LEB128. */
function size(value: number): number[] {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...size(value >>> 7)];
}
