import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { UsageError, UserError } from './errors.js';
import { packageFolder } from './installation.js';
import { runTests } from './node-tests.js';
import { text } from './options.js';
import type { Option, Values } from './options.js';

export const NEW_FUNCTION_OPTIONS: readonly Option[] = [
  { name: 'in', value: 'DIR', help: 'folder that gets the folder NAME (.)' },
];

/** What a new one begins as: an example that is tested with the runtime. */
const MODEL = 'examples/new-function/assembly';
const MODEL_NAME = 'visits';
const FILES = [`${MODEL_NAME}.ts`, `${MODEL_NAME}.test.mjs`];

/**
 * `layotto new function NAME`: a folder with a function that works, and its test.
 *
 * @throws UserError if the name is no good or the folder is there already; then nothing was written
 */
export function newFunction(values: Values, [name = '']: readonly string[]): Promise<number> {
  if (!/^[a-z][a-z0-9]*(?:-[a-z][a-z0-9]*)*$/.test(name) || name.length > 40) {
    throw new UsageError(
      `a function is called by small letters, digits and single dashes, at most 40, such as ${MODEL_NAME}; not '${name}'`,
    );
  }
  const parent = text(values, 'in') ?? '.';
  const folder = join(parent, name);
  if (existsSync(folder)) throw new UserError(`${folder} is there already; nothing was written`);
  const spelled = (model: string): string =>
    model.replaceAll(pascal(MODEL_NAME), pascal(name)).replaceAll(NAMED, name);
  mkdirSync(parent, { recursive: true });
  // All of it or nothing.
  const work = mkdtempSync(join(parent, `.${name}-`));
  try {
    const model = join(packageFolder(), MODEL);
    const written = FILES.map((file) => file.replace(MODEL_NAME, name));
    for (const [index, file] of FILES.entries())
      writeFileSync(join(work, written[index] ?? ''), spelled(readFileSync(join(model, file), 'utf8')));
    writeFileSync(join(work, '.gitignore'), '*.wasm\n');
    renameSync(work, folder);
    for (const file of written) console.log(join(folder, file));
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  return Promise.resolve(0);
}

/** The model's name where it names the function or its file, and not in its prose. */
const NAMED = new RegExp(`(?<=')${MODEL_NAME}(?=['.])`, 'g');

function pascal(kebab: string): string {
  return kebab.replace(/(?:^|-)([a-z])/g, (_, letter: string) => letter.toUpperCase());
}

/** `layotto function test FOLDER`: runs a function's tests by Node's own runner. */
export function functionTest(_values: Values, [folder = '']: readonly string[]): Promise<number> {
  return runTests(folder, [folder]);
}
