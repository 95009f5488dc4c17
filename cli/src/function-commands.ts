import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

import { parseTrapLimit } from '../../components-bridge/src/config/slots.js';
import { parseBytes, parseDuration } from '../../components-bridge/src/config/units.js';
import type * as Builder from '../../tools/function.mjs';
import { ask, tell } from './control-client.js';
import { UsageError, UserError, messageOf } from './errors.js';
import type { FunctionView } from './functions.js';
import { packageFolder } from './installation.js';
import { readModuleFile } from './module-file.js';
import { text, wholeNumber } from './options.js';
import type { Option, Values } from './options.js';
import { Running, RUNNING_OPTIONS } from './running.js';
import { aligned } from './table.js';

export const FUNCTION_BUILD_OPTIONS: readonly Option[] = [
  { name: 'out', short: 'o', value: 'FILE', help: 'where to write the module (FILE.wasm beside the source)' },
];
export const FUNCTION_PUSH_OPTIONS: readonly Option[] = [
  ...RUNNING_OPTIONS,
  { name: 'id', value: 'ID', help: 'by which it is called, in the header "id"' },
  { name: 'path', value: '/PATH', help: 'calls to this path, and below it, are its too' },
  { name: 'max-body', value: 'SIZE', help: 'longest body of a call (1MiB)' },
  { name: 'max-in-flight', value: 'N', help: 'calls at the same time (100)' },
  { name: 'deadline', value: 'TIME', help: 'how long a call may take (limits.deadline)' },
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
  const query = new URLSearchParams({ id: needed(values, 'id') });
  const route = text(values, 'path');
  if (route !== undefined) query.set('path', route);
  measure(values, 'max-body', parseBytes, 'a size such as 64KiB', (n) => query.set('bodyBytes', n));
  measure(values, 'deadline', parseDuration, 'a time such as 500ms', (n) => query.set('deadlineMs', n));
  const inFlight = wholeNumber(values, 'max-in-flight');
  if (inFlight === 0) throw new UsageError('--max-in-flight needs a number from 1');
  if (inFlight !== undefined) query.set('inFlight', String(inFlight));
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

function needed(values: Values, name: string): string {
  const value = text(values, name);
  if (value === undefined) throw new UsageError(`--${name} is missing`);
  return value;
}

function measure(
  values: Values,
  name: string,
  parse: (value: string) => number | undefined,
  wanted: string,
  take: (found: string) => void,
): void {
  const value = text(values, name);
  if (value === undefined) return;
  const found = parse(value);
  if (found === undefined || found < 1 || found > 2 ** 30)
    throw new UsageError(`--${name} needs ${wanted}, not '${value}'`);
  take(String(found));
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
