/** WASI's functions are restricted by their bare names, the others by the names they are imported under. */
const WASI = ['wasi_snapshot_preview1', 'wasi_unstable'];

/**
 * What a module asks of the proxy, as Envoy's `capability_restriction_config` names it: the host functions that it
 * imports and the callbacks that it exports. Read from the module, so that the list never says more or less than the
 * module needs.
 *
 * @param wasm the module's bytes
 * @returns names in order
 * @throws TypeError saying what is wrong if it is no module
 */
export function moduleCapabilities(wasm: Uint8Array): string[] {
  let module: WebAssembly.Module;
  try {
    module = new WebAssembly.Module(wasm);
  } catch (error) {
    throw new TypeError(`not a WebAssembly module: ${(error as Error).message}`, { cause: error });
  }
  const imported = WebAssembly.Module.imports(module)
    .filter((it) => it.kind === 'function' && (WASI.includes(it.module) || it.name.startsWith('proxy_')))
    .map(({ name }) => name);
  const exported = WebAssembly.Module.exports(module)
    .filter(({ kind, name }) => kind === 'function' && name.startsWith('proxy_on_'))
    .map(({ name }) => name);
  return [...new Set([...imported, ...exported])].sort();
}
