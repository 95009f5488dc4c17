import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { claimDataDir } from './data-dir.js';

let dir: string;
const lock = (): string => join(dir, 'run.lock');

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'layotto-lock-'));
});

afterEach(() => {
  chmodSync(dir, 0o700);
  rmSync(dir, { recursive: true, force: true });
});

it('takes a folder, refuses it to a second, and gives it back', () => {
  const release = claimDataDir(dir);
  expect(() => claimDataDir(dir)).toThrow(`the data folder ${dir} is in use by process ${process.pid}`);
  release();
  expect(existsSync(lock())).toBe(false);
  claimDataDir(dir)();
});

it('makes the folder, for its owner only', () => {
  dir = join(dir, 'a/b');
  claimDataDir(dir)();
  expect(existsSync(dir)).toBe(true);
});

it('takes over the lock of a process that is gone', () => {
  const { pid } = spawnSync('true');
  writeFileSync(lock(), JSON.stringify({ pid, started: '1' }));
  const release = claimDataDir(dir);
  expect(JSON.parse(readFileSync(lock(), 'utf8'))).toMatchObject({ pid: process.pid });
  release();
});

it('takes over the lock of an earlier process that had the same id', () => {
  writeFileSync(lock(), JSON.stringify({ pid: process.pid, started: 'long ago' }));
  claimDataDir(dir)();
});

it('takes over a lock that says nothing', () => {
  writeFileSync(lock(), 'garbage');
  claimDataDir(dir)();
});

it('says why a folder cannot be used', () => {
  writeFileSync(join(dir, 'file'), '');
  expect(() => claimDataDir(join(dir, 'file'))).toThrow(/cannot make the data folder .*file/);
});
