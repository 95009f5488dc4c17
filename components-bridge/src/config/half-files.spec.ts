import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';

import { halfFiles } from './half-files.js';

let folder: string;
beforeEach(() => (folder = mkdtempSync(join(tmpdir(), 'layotto-half-'))));
afterEach(() => rmSync(folder, { recursive: true, force: true }));

test('a half has what it imports by paths, each file once, and what is not there, too', () => {
  mkdirSync(join(folder, 'half/lib'), { recursive: true });
  const write = (name: string, text: string): void => writeFileSync(join(folder, name), text);
  write(
    'half/index.mjs',
    `import one, { two } from "./lib/one.mjs";
import './lib/größe.mjs'
import { readFile } from 'node:fs/promises';
import pino from 'pino';
export * from '../shared.mjs';
const late = () => import('./late.mjs?x=1');
`,
  );
  write('half/lib/one.mjs', `import data from './data.json' with { type: 'json' };\nimport '../index.mjs';`);
  write('half/lib/data.json', '{}');
  write('half/lib/größe.mjs', '');
  write('shared.mjs', 'const text = "from here on";');
  const files = halfFiles(join(folder, 'half'));
  const names = files.map(({ path }) => relative(folder, path));
  expect(names).toEqual([
    'half/index.mjs',
    'half/lib/one.mjs',
    'half/lib/größe.mjs',
    'shared.mjs',
    'half/late.mjs',
    'half/lib/data.json',
  ]);
  expect(files.filter(({ content }) => content === undefined)).toHaveLength(1);
});

test('what a half requires is found as Node finds it', () => {
  mkdirSync(join(folder, 'more/deep'), { recursive: true });
  const write = (name: string, text: string): void => writeFileSync(join(folder, name), text);
  write(
    'index.mjs',
    `const a = require('./more'), b = require("./more/deep"), c = require('./gone'); require('pino');`,
  );
  write('more/index.js', `require('./data'); require('./plain.cjs')`);
  write('more/deep.js', '');
  write('more/data.json', '{}');
  write('more/plain.cjs', '');
  expect(halfFiles(folder).map(({ path }) => relative(folder, path))).toEqual([
    'index.mjs',
    'more/index.js',
    'more/deep.js',
    'gone',
    'more/data.json',
    'more/plain.cjs',
  ]);
});

test('a half of more files than are looked at ends', () => {
  const imports = Array.from({ length: 300 }, (_, i) => `import './${i}.mjs';`).join('\n');
  writeFileSync(join(folder, 'index.mjs'), imports);
  expect(halfFiles(folder)).toHaveLength(256);
});
