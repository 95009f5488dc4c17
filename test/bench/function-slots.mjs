/* global WebAssembly */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { parse, stringify } from 'yaml';

const MIB = 1024 * 1024;

/**
 * Functions as `layotto function push` would leave them, for an Envoy that has them from its start.
 *
 * @param {{ id: string, file: string }[]} functions their modules; two of the same file become different modules, so that
 * Envoy compiles both
 * @param {object} runtime `config` as resolved, `options` of the bootstrap, and an empty folder
 */
export async function functionSlots(functions, { config, options, dir }) {
  const [{ pluginConfiguration }, { moduleCapabilities }] = await Promise.all([
    import('../../dist/envoy/plugin-config.js'),
    import('../../dist/envoy/module-capabilities.js'),
  ]);
  mkdirSync(dir, { recursive: true });
  const plugin = pluginConfiguration(config, options);
  const placed = functions.map(({ id, file }, index) => {
    const wasm = Buffer.concat([readFileSync(file), section(`copy-${index}`)]);
    const own = join(dir, `${id}.wasm`);
    writeFileSync(own, wasm);
    const module = new WebAssembly.Module(wasm);
    const capabilities = moduleCapabilities({
      imports: WebAssembly.Module.imports(module),
      exports: WebAssembly.Module.exports(module).map(({ name }) => name),
    });
    const settings = { id, bodyBytes: MIB, inFlight: 1000, deadlineMs: 15_000 };
    const configuration = JSON.stringify({ ...plugin, function: settings });
    const route = { id, deadlineMs: settings.deadlineMs, slot: `function-${index + 1}` };
    return { route, slot: { file: own, capabilities, configuration, rootId: 'function', seesBodies: true } };
  });
  return {
    functions: placed.map(({ route }) => route),
    slots: new Map(placed.map(({ route, slot }) => [route.slot, slot])),
  };
}

/** The path at which the functions' listener answers by itself, once {@link withEmptyRoute} has been there. */
export const EMPTY_PATH = '/empty';

/** The routes of the functions' listener, and one that Envoy answers by itself. @param {string} text the file of them */
export function withEmptyRoute(text) {
  const file = parse(text);
  const direct = { status: 200, body: { inline_string: 'hello' } };
  file.resources[0].virtual_hosts[0].routes.unshift({ match: { path: EMPTY_PATH }, direct_response: direct });
  return stringify(file);
}

/** An empty custom section: with it a module is another one, and does the same. */
export function section(name) {
  return Buffer.from([0, name.length + 1, name.length, ...Buffer.from(name)]);
}
