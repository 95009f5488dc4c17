/* global WebAssembly */
/**
 * Keeps Envoy from making twice the code of a module that it needs.
 *
 * Envoy compiles a whole module when it gets it, by V8's optimizing compiler, which puts the functions that one calls
 * into it as long as its budget lasts: three times the bytes of its body, and 50 at least, whether it runs for each
 * call or once (V8: `should_inline` and `InliningTree::NoLiftoffBudget`, for want of a baseline compiler that counts).
 * AssemblyScript has put in what is worth it before. So a function begins with calls of functions that are long and
 * do nothing: they are put in, which makes no code, and little is left of the budget. docs/decisions/0115-*.md says
 * what it brings, and what it costs.
 */
import { Buffer } from 'node:buffer';

const CODE = 10;
const [TYPES, FUNCTIONS] = [1, 3];
const [CALL, NOP, END] = [0x10, 0x01, 0x0b];
const BUDGET = { perByte: 3, least: 50 };
/** Lengths of the functions that do nothing, in bytes. */
const FILLERS = [1280, 640, 320, 160, 80, 40];
/** What may be left of a budget. */
const LEFT = FILLERS.at(-1);

/**
 * @param {Uint8Array} wasm a module
 * @param {(name: string) => boolean} [of] of which functions, by the names that the module has for them; of all
 * @returns {Buffer} one that does the same, without names
 */
export function withoutInlining(wasm, of = () => true) {
  const module = new WebAssembly.Module(wasm);
  const imported = WebAssembly.Module.imports(module).filter(({ kind }) => kind === 'function').length;
  const names = functionNames(WebAssembly.Module.customSections(module, 'name')[0]);
  const sections = split(wasm);
  const [types, kinds, bodies] = [TYPES, FUNCTIONS, CODE].map((id) => {
    const reader = new Reader(sections.find((section) => section.id === id).content);
    return { count: reader.number(), reader };
  });
  const first = imported + bodies.count;
  const code = Array.from({ length: bodies.count }, (_, index) => {
    const body = bodies.reader.bytes(bodies.reader.number());
    return of(names.get(imported + index) ?? '') ? withoutBudget(body, first) : body;
  });
  code.push(...FILLERS.map((length) => Buffer.from([0, ...Array(length - 2).fill(NOP), END])));
  const changed = new Map([
    // Nothing goes in, nothing comes out.
    [TYPES, [leb128(types.count + 1), types.reader.rest(), Buffer.from([0x60, 0, 0])]],
    [
      FUNCTIONS,
      [leb128(kinds.count + FILLERS.length), kinds.reader.rest(), ...FILLERS.map(() => leb128(types.count))],
    ],
    [CODE, [leb128(code.length), ...code.flatMap((body) => [leb128(body.length), body])]],
  ]);
  return Buffer.concat([
    wasm.subarray(0, 8),
    ...sections
      .filter(({ id, content }) => id !== 0 || sectionName(content) !== 'name')
      .flatMap(({ id, content }) => {
        const bytes = changed.has(id) ? Buffer.concat(changed.get(id)) : content;
        return [Buffer.from([id]), leb128(bytes.length), bytes];
      }),
  ]);
}

/** A body that begins with calls of the functions that do nothing. @param {number} first the index of their first */
function withoutBudget(body, first) {
  const reader = new Reader(body);
  for (let groups = reader.number(); groups > 0; groups--) {
    reader.number();
    reader.bytes(1);
  }
  const rest = reader.rest();
  const locals = body.subarray(0, body.length - rest.length);
  // It calls nothing, so there is nothing to put in.
  if (!rest.includes(CALL)) return body;
  let calls = Buffer.alloc(0);
  for (;;) {
    let budget = Math.max(BUDGET.least, BUDGET.perByte * (body.length + calls.length));
    const next = [];
    FILLERS.forEach((length, index) => {
      for (; length < budget && budget > LEFT; budget -= length)
        next.push(Buffer.from([CALL]), leb128(first + index));
    });
    const longer = Buffer.concat(next);
    if (longer.length <= calls.length) return Buffer.concat([locals, calls, rest]);
    calls = longer;
  }
}

/** The names of functions by their index. @param {ArrayBuffer | undefined} section */
function functionNames(section) {
  const names = new Map();
  if (section === undefined) return names;
  const reader = new Reader(new Uint8Array(section));
  while (!reader.ended) {
    const [id] = reader.bytes(1);
    const part = new Reader(reader.bytes(reader.number()));
    if (id !== 1) continue;
    for (let count = part.number(); count > 0; count--) names.set(part.number(), part.text());
  }
  return names;
}

function sectionName(content) {
  return new Reader(content).text();
}

/** @param {Uint8Array} wasm @returns {{ id: number, content: Uint8Array }[]} */
function split(wasm) {
  const reader = new Reader(wasm.subarray(8));
  const sections = [];
  while (!reader.ended) {
    const [id] = reader.bytes(1);
    sections.push({ id, content: reader.bytes(reader.number()) });
  }
  return sections;
}

class Reader {
  #bytes;
  #at = 0;

  constructor(bytes) {
    this.#bytes = bytes;
  }

  get ended() {
    return this.#at >= this.#bytes.length;
  }

  bytes(length) {
    this.#at += length;
    return this.#bytes.subarray(this.#at - length, this.#at);
  }

  rest() {
    return this.bytes(this.#bytes.length - this.#at);
  }

  /** Unsigned LEB128. */
  number() {
    for (let value = 0, shift = 1; ; shift *= 128) {
      const [byte] = this.bytes(1);
      value += (byte & 0x7f) * shift;
      if (byte < 0x80) return value;
    }
  }

  text() {
    return Buffer.from(this.bytes(this.number())).toString('utf8');
  }
}

function leb128(value) {
  const bytes = [];
  for (let rest = value; ; rest >>>= 7) {
    if (rest < 0x80) return Buffer.from([...bytes, rest]);
    bytes.push((rest & 0x7f) | 0x80);
  }
}
