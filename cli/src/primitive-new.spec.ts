import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { jest } from '@jest/globals';

import { newPrimitive } from './primitive-new.js';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'layotto-new-'));
  jest.spyOn(console, 'log').mockImplementation(() => undefined);
});
afterEach(() => {
  jest.restoreAllMocks();
  rmSync(folder, { recursive: true, force: true });
});

const write = (name: string): Promise<number> => newPrimitive({ in: folder }, [name]);

test('three folders with their tests, in which nothing has the name of the model', async () => {
  expect(await write('audit-log')).toBe(0);
  expect(readdirSync(folder)).toEqual(['audit-log']);
  const own = join(folder, 'audit-log');
  expect(readdirSync(own).sort()).toEqual(['bridge', 'filter', 'proto']);
  const files = readdirSync(own, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  expect(files.map(({ name }) => name).sort()).toEqual(
    [
      ...['.gitignore', '.gitignore', 'audit_log.proto', 'index.mjs', 'index.ts'],
      ...['index.test.mjs', 'index.test.mjs', 'index.test.mjs'],
    ].sort(),
  );
  for (const { parentPath, name } of files) {
    expect(readFileSync(join(parentPath, name), 'utf8')).not.toMatch(/rate.?counter/i);
  }
  expect(readFileSync(join(own, 'proto/audit_log.proto'), 'utf8')).toContain('service AuditLog {');
});

test.each(['', 'State', '1st', 'a--b', 'a/b', '../a', 'a_b', '-a', 'a'.repeat(41)])(
  'the name "%s" is refused',
  async (name) => {
    await expect(write(name)).rejects.toThrow('a primitive is called by small letters');
    expect(readdirSync(folder)).toEqual([]);
  },
);

test.each(['state', 'invoke', 'pubsub'])('%s is the name of one that there is', async (name) => {
  await expect(write(name)).rejects.toThrow("is the runtime's own; choose another name");
});

test('nothing is overwritten', async () => {
  mkdirSync(join(folder, 'audit'));
  writeFileSync(join(folder, 'audit/notes'), 'mine');
  await expect(write('audit')).rejects.toThrow('is there already; nothing was written');
  expect(readdirSync(folder)).toEqual(['audit']);
  expect(readFileSync(join(folder, 'audit/notes'), 'utf8')).toBe('mine');
});
