import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';

import { nameProblem } from '../../components-bridge/src/config/own-primitive.js';
import { UsageError, UserError } from './errors.js';
import { findInstallation } from './installation.js';
import { text } from './options.js';
import type { Option, Values } from './options.js';

export const NEW_PRIMITIVE_OPTIONS: readonly Option[] = [
  { name: 'in', value: 'DIR', help: 'folder that gets the folder NAME (.)' },
];

/** What a new one begins as: an example that is tested with the runtime. */
const MODEL = 'examples/new-primitive/rate-counter';
const MODEL_NAME = 'rate-counter';

/** The three parts, and what a build writes into them. */
const PARTS: Readonly<Record<string, string>> = {
  filter: 'gen/\n',
  proto: '',
  bridge: 'primitive.json\n',
};

/**
 * `layotto new primitive NAME`: a folder with the filter half, the .proto file and the bridge half of a primitive that
 * works, each with its test.
 *
 * @throws UserError if the name is no good or the folder is there already; then nothing was written
 */
export async function newPrimitive(values: Values, [name = '']: readonly string[]): Promise<number> {
  const spelled = spellings(name);
  const parent = text(values, 'in') ?? '.';
  const folder = join(parent, name);
  if (existsSync(folder)) throw new UserError(`${folder} is there already; nothing was written`);
  const model = join(findInstallation().root, MODEL);
  mkdirSync(parent, { recursive: true });
  // All of it or nothing.
  const work = mkdtempSync(join(parent, `.${name}-`));
  try {
    const written: string[] = [];
    for (const [part, ignored] of Object.entries(PARTS)) {
      mkdirSync(join(work, part));
      const sources = readdirSync(join(model, part)).filter((file) => /\.(?:ts|mjs|proto)$/.test(file));
      for (const file of sources) {
        const target = join(part, spelled(file));
        writeFileSync(join(work, target), spelled(readFileSync(join(model, part, file), 'utf8')));
        written.push(target);
      }
      if (ignored !== '') writeFileSync(join(work, part, '.gitignore'), ignored);
    }
    renameSync(work, folder);
    for (const file of written) console.log(join(folder, file));
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  return 0;
}

/**
 * How a text about the model reads of another primitive.
 *
 * @throws UsageError if it cannot be called so
 */
function spellings(name: string): (text: string) => string {
  if (!/^[a-z][a-z0-9]*(?:-[a-z][a-z0-9]*)*$/.test(name) || name.length > 40) {
    throw new UsageError(
      `a primitive is called by small letters, digits and single dashes, at most 40, such as ${MODEL_NAME}; not '${name}'`,
    );
  }
  const snake = (kebab: string): string => kebab.replaceAll('-', '_');
  const pascal = (kebab: string): string =>
    kebab.replace(/(?:^|-)([a-z])/g, (_, letter: string) => letter.toUpperCase());
  const taken = nameProblem(name, `${snake(name)}.v1.${pascal(name)}`);
  if (taken !== undefined) throw new UsageError(taken);
  const forms = [(kebab: string) => kebab, snake, pascal, (kebab: string) => snake(kebab).toUpperCase()];
  return (model) => forms.reduce((result, form) => result.replaceAll(form(MODEL_NAME), form(name)), model);
}
