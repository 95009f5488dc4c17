import type { ModuleInfo } from './module-info.js';

/** WASI's functions are restricted by their bare names, the proxy's by the names they are imported under. */
const WASI = ['wasi_snapshot_preview1', 'wasi_unstable'];

/**
 * What a module asks of the proxy, as Envoy's `capability_restriction_config` names it: the host functions that it
 * imports and the callbacks that it exports. Read from the module itself, so that the list says neither more nor less
 * than the module needs.
 *
 * @returns names in order
 */
export function moduleCapabilities({ imports, exports }: Pick<ModuleInfo, 'imports' | 'exports'>): string[] {
  const called = imports
    .filter(({ module, name }) => WASI.includes(module) || name.startsWith('proxy_'))
    .map(({ name }) => name);
  const callbacks = exports.filter((name) => name.startsWith('proxy_on_'));
  return [...new Set([...called, ...callbacks])].sort();
}
