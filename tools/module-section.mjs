/** Writes the section in which a module says what it is; envoy/module-info.ts reads it. */
/* global WebAssembly */
import { Buffer } from 'node:buffer';

const SECTION = 'layotto.module';

/**
 * A module with its section. What stands there comes from the module itself: from what it exports as
 * `layotto_describe`, and from its imports.
 * @param {Uint8Array} wasm
 * @param {string} name the module's name
 * @param {string} version the package's version, which must be the module's
 * @returns {Buffer}
 */
export function withSection(wasm, name, version) {
  const module = new WebAssembly.Module(wasm);
  const said = describe(module);
  const words = (first) => said.filter(([word]) => word === first).map(([, ...rest]) => rest);
  const [own] = words('version')[0] ?? [];
  if (own !== version)
    throw new Error(`assembly/version.ts says ${own}, package.json ${version}: make them the same`);
  const doors = new Map();
  for (const [door, primitive] of words('route'))
    doors.set(primitive, (doors.get(primitive) ?? new Set()).add(door));
  const content = {
    schema: 1,
    name,
    version,
    ...(words('function').length > 0 ? { function: true } : {}),
    protocol: Number(words('protocol')[0][0]),
    primitives: [...doors.keys()].sort().map((primitive) => ({
      name: primitive,
      doors: [...doors.get(primitive)].sort(),
    })),
    services: words('service').flat().sort(),
    capabilities: WebAssembly.Module.imports(module)
      .filter(({ kind }) => kind === 'function')
      .map((imported) => imported.name)
      .sort(),
  };
  const body = Buffer.concat([text(SECTION), Buffer.from(JSON.stringify(content))]);
  return Buffer.concat([wasm, Buffer.from([0]), leb128(body.length), body]);
}

/** The lines of `layotto_describe`, as words. Nothing that the module asks of its host meanwhile matters. */
function describe(module) {
  const host = {};
  for (const { module: from, name } of WebAssembly.Module.imports(module))
    (host[from] ??= {})[name] = () => 0;
  let memory;
  // By it a function ends loops that have no end.
  (host['wasi_snapshot_preview1'] ??= {})['clock_time_get'] = (_clock, _precision, at) => {
    if (memory === undefined) return 1;
    new DataView(memory.buffer).setBigUint64(at >>> 0, process.hrtime.bigint(), true);
    return 0;
  };
  const { exports } = new WebAssembly.Instance(module, host);
  memory = exports.memory;
  exports._initialize?.();
  if (exports.layotto_describe === undefined)
    throw new Error("its entry file lacks: export { layotto_describe } from '../describe';");
  const view = BigInt.asUintN(64, exports.layotto_describe());
  const bytes = Buffer.from(exports.memory.buffer, Number(view & 0xffffffffn), Number(view >> 32n));
  return bytes
    .toString('utf8')
    .trimEnd()
    .split('\n')
    .map((line) => line.split(' '));
}

function text(value) {
  return Buffer.concat([leb128(Buffer.byteLength(value)), Buffer.from(value)]);
}

function leb128(value) {
  const bytes = [];
  for (let rest = value; ; rest >>>= 7) {
    if (rest < 0x80) return Buffer.from([...bytes, rest]);
    bytes.push((rest & 0x7f) | 0x80);
  }
}
