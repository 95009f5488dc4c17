import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

import { UserError } from './errors.js';

/** Makes `layotto-envoy/testing` known to what is tested, wherever it stands. */
const REGISTER = fileURLToPath(new URL('./testing-register.js', import.meta.url));

/**
 * Runs the tests (`*.test.mjs`) of folders by Node's own runner.
 *
 * @param shown what messages call the folders
 * @returns its exit code
 */
export async function runTests(shown: string, folders: readonly string[]): Promise<number> {
  const tests = folders.flatMap((folder) => {
    const path = resolve(folder);
    const files = existsSync(path) ? readdirSync(path).filter((file) => file.endsWith('.test.mjs')) : [];
    return files.map((file) => join(path, file));
  });
  if (tests.length === 0) throw new UserError(`there is no test in ${shown}`);
  const args = ['--import', REGISTER, '--test', '--test-reporter', 'spec', ...tests];
  const runner = spawn(process.execPath, args, { stdio: 'inherit' });
  const [code] = (await once(runner, 'exit')) as [number | null];
  return code ?? 1;
}
