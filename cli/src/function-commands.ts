import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

import { parseTrapLimit } from '../../components-bridge/src/config/slots.js';
import type * as Builder from '../../tools/function.mjs';
import { ask, tell } from './control-client.js';
import { UsageError, UserError, messageOf } from './errors.js';
import { givenSettings, SETTINGS_OPTIONS } from './function-settings.js';
import type { FunctionView } from './functions.js';
import { packageFolder } from './installation.js';
import { readModuleFile } from './module-file.js';
import { text } from './options.js';
import type { Option, Values } from './options.js';
import { Running, RUNNING_OPTIONS } from './running.js';
import { aligned } from './table.js';

export const FUNCTION_BUILD_OPTIONS: readonly Option[] = [
  { name: 'out', short: 'o', value: 'FILE', help: 'where to write the module (FILE.wasm beside the source)' },
];
export const FUNCTION_PUSH_OPTIONS: readonly Option[] = [
  ...RUNNING_OPTIONS,
  ...SETTINGS_OPTIONS,
  {
    name: 'rollback-on-trap',
    value: 'N in TIME',
    help: 'roll it back when it traps so often, such as "3 in 60s"',
  },
  { name: 'no-try', help: 'push it without a call that is tried before' },
];
export const FUNCTION_LIST_OPTIONS: readonly Option[] = [
  ...RUNNING_OPTIONS,
  { name: 'json', help: 'print everything as JSON' },
];

/**
 * `layotto function build FILE.ts`: compiles a function.
 *
 * @returns 0 when the module is written
 * @throws UserError with what the compiler says
 */
export async function functionBuild(values: Values, [path = '']: readonly string[]): Promise<number> {
  if (!path.endsWith('.ts')) throw new UsageError(`a function's source ends in .ts, not '${path}'`);
  if (!existsSync(path)) throw new UserError(`${path}: no such file`);
  const out = text(values, 'out') ?? path.replace(/\.ts$/, '.wasm');
  // Loaded by path, because it stands outside of what is compiled.
  const builder = (await import(
    pathToFileURL(join(packageFolder(), 'tools/function.mjs')).href
  )) as typeof Builder;
  try {
    const wasm = await builder.buildFunction(path);
    writeFileSync(out, wasm);
    console.log(`${out}: ${wasm.length} bytes`);
    return 0;
  } catch (error) {
    if (error instanceof builder.FunctionError) throw new UserError(`${path}: ${error.message}`);
    throw new UserError(messageOf(error));
  }
}

/**
 * `layotto function push FILE.wasm --id ID`: puts a function where its callers find it.
 *
 * @returns 0 when it serves
 * @throws UserError if it is refused; then everything stays as it is
 */
export async function functionPush(values: Values, [path = '']: readonly string[]): Promise<number> {
  if (path.endsWith('.ts'))
    throw new UsageError(
      `${path} is a function's source; layotto function build ${path} makes a module of it`,
    );
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(givenSettings(values)))
    if (value !== undefined) query.set(name, String(value));
  const limit = text(values, 'rollback-on-trap');
  if (limit !== undefined && parseTrapLimit(limit) === undefined)
    throw new UsageError(
      `--rollback-on-trap needs a number of traps and a time, such as "3 in 60s", not '${limit}'`,
    );
  if (limit !== undefined) query.set('rollbackOnTrap', limit);
  if (values['no-try'] === true) query.set('try', 'no');
  const { wasm } = readModuleFile(path);
  return tell(Running.find(values), `/functions/push?${query.toString()}`, Buffer.from(wasm), `${path}: `);
}

/** `layotto function list`: the functions, where they are called and what holds for them. */
export async function functionList(values: Values): Promise<number> {
  const functions = (await ask(Running.find(values), 'GET', '/functions')) as FunctionView[];
  if (values['json'] === true) {
    console.log(JSON.stringify(functions, null, 2));
    return 0;
  }
  if (functions.length === 0) {
    console.log('there are no functions; push one with layotto function push');
    return 0;
  }
  const rows = functions.map(({ settings, history, at }) => [
    settings.id,
    settings.path ?? '',
    history.at(-1) ?? '',
    `pushed ${at}`,
    `body ${settings.bodyBytes}, in flight ${settings.inFlight}, deadline ${settings.deadlineMs} ms`,
  ]);
  console.log(aligned(rows));
  for (const { settings, traps, note } of functions) {
    if (traps > 0) console.log(`${settings.id} trapped ${traps} times since Envoy started`);
    if (note !== undefined) console.log(`${settings.id}: ${note}`);
  }
  return 0;
}

/** `layotto function rollback ID`: the version before serves again. */
export function functionRollback(values: Values, [id = '']: readonly string[]): Promise<number> {
  return tell(Running.find(values), `/functions/rollback?${new URLSearchParams({ id }).toString()}`);
}

/** `layotto function remove ID`: takes a function out. */
export function functionRemove(values: Values, [id = '']: readonly string[]): Promise<number> {
  return tell(Running.find(values), `/functions/remove?${new URLSearchParams({ id }).toString()}`);
}
