import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

import { UserError } from './errors.js';
import type { Values } from './options.js';
import { buildPrimitive } from './primitive-build.js';

/** Makes `layotto-envoy/testing` known to what is tested, wherever it stands. */
const REGISTER = fileURLToPath(new URL('./testing-register.js', import.meta.url));

/** `layotto primitive test FOLDER`: builds it, and runs the tests in its three folders by Node's own runner. */
export async function primitiveTest(_values: Values, [folder = '']: readonly string[]): Promise<number> {
  await buildPrimitive(folder);
  const tests = ['filter', 'proto', 'bridge'].flatMap((part) => {
    const path = resolve(folder, part);
    const files = existsSync(path) ? readdirSync(path).filter((file) => file.endsWith('.test.mjs')) : [];
    return files.map((file) => join(path, file));
  });
  if (tests.length === 0) throw new UserError(`there is no test in ${folder}`);
  const args = ['--import', REGISTER, '--test', '--test-reporter', 'spec', ...tests];
  const runner = spawn(process.execPath, args, { stdio: 'inherit' });
  const [code] = (await once(runner, 'exit')) as [number | null];
  return code ?? 1;
}
