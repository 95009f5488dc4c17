import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { filesUnder, root, unlessCurrent } from './tree.mjs';

/** Relative to the project, as all paths of a step are. */
const FOLDER = `dist/tree-spec-${process.pid}`;
const source = `${FOLDER}/source`;
const output = `${FOLDER}/output`;
const stamp = `${FOLDER}/.step.hash`;

beforeEach(() => mkdirSync(join(root, FOLDER), { recursive: true }));
afterEach(() => rmSync(join(root, FOLDER), { recursive: true, force: true }));

function write(file: string, text: string): void {
  writeFileSync(join(root, file), text);
}

/** A step that copies. @returns whether it ran */
function copy(inputs = [source]): Promise<boolean> {
  const run = (): void => write(output, readFileSync(join(root, source), 'utf8'));
  return unlessCurrent({ stamp, inputs, outputs: [output], run });
}

test('a step runs when an input has changed, is new or is gone, or an output is gone, and else it does not', async () => {
  write(source, 'one');
  expect([await copy(), await copy()]).toEqual([true, false]);
  write(source, 'two');
  expect([await copy(), await copy()]).toEqual([true, false]);
  expect(readFileSync(join(root, output), 'utf8')).toBe('two');
  rmSync(join(root, output));
  expect([await copy(), await copy()]).toEqual([true, false]);
  const other = `${FOLDER}/other`;
  write(other, '');
  expect([await copy([source, other]), await copy([source, other])]).toEqual([true, false]);
  write(other, 'text');
  expect(await copy([source, other])).toBe(true);
  rmSync(join(root, other));
  expect(await copy([source, other])).toBe(true);
  expect(await copy()).toBe(true);
});

test('a step that failed runs again', async () => {
  write(source, 'one');
  const fail = unlessCurrent({
    ...{ stamp, inputs: [source], outputs: [] },
    run: () => Promise.reject(new Error('it does not compile')),
  });
  await expect(fail).rejects.toThrow('it does not compile');
  expect(existsSync(join(root, stamp))).toBe(false);
  expect(await copy()).toBe(true);
});

test('files of a folder are found in it and below it, in the same order each time', () => {
  mkdirSync(join(root, FOLDER, 'inner'));
  mkdirSync(join(root, FOLDER, 'node_modules'));
  for (const name of ['b.ts', 'a.ts', 'c.js', 'inner/d.ts', 'node_modules/e.ts'])
    write(`${FOLDER}/${name}`, '');
  expect(filesUnder(FOLDER, (name) => name.endsWith('.ts'))).toEqual(
    ['a.ts', 'b.ts', 'inner/d.ts'].map((name) => `${FOLDER}/${name}`),
  );
  expect(filesUnder(`${FOLDER}/nowhere`, () => true)).toEqual([]);
});
