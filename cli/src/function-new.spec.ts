import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { jest } from '@jest/globals';

import { newFunction } from './function-new.js';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'layotto-new-'));
  jest.spyOn(console, 'log').mockImplementation(() => undefined);
});
afterEach(() => {
  jest.restoreAllMocks();
  rmSync(folder, { recursive: true, force: true });
});

test('a new function has its own name everywhere, and nothing else is written', async () => {
  await newFunction({ in: folder }, ['page-counter']);
  expect(readdirSync(folder)).toEqual(['page-counter']);
  const written = join(folder, 'page-counter');
  expect(readdirSync(written).sort()).toEqual(['.gitignore', 'page-counter.test.mjs', 'page-counter.ts']);
  expect(readFileSync(join(written, 'page-counter.ts'), 'utf8')).toContain(
    'serve((): Handler => new PageCounter())',
  );
  const test = readFileSync(join(written, 'page-counter.test.mjs'), 'utf8');
  expect(test).toContain("const ID = 'page-counter';");
  expect(test).toContain("new URL('page-counter.ts', import.meta.url)");
  await expect(async () => newFunction({ in: folder }, ['page-counter'])).rejects.toThrow(/is there already/);
});

test.each(['', 'Big', 'a_b', '-a', 'a--b', '../x', 'x'.repeat(41)])('%j is no name', async (name) => {
  await expect(async () => newFunction({ in: folder }, [name])).rejects.toThrow(/a function is called by/);
  expect(readdirSync(folder)).toEqual([]);
});
