/**
 * A Python with the packages that an example or a test needs, in an environment of its own under `.tools`.
 */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const tools = join(dirname(dirname(fileURLToPath(import.meta.url))), '.tools');
const run = promisify(execFile);

/** What examples/new-primitive/process needs. */
export const GRPC_PACKAGES = ['grpcio==1.85.3', 'protobuf==7.36.2'];

/**
 * The path of a Python that has these packages. They are fetched by pip, as it is configured, the first time.
 *
 * @param {string[]} packages with their versions
 * @returns {Promise<string>}
 * @throws {Error} that says what is missing
 */
export async function pythonWith(packages) {
  const id = createHash('sha256').update(packages.join('\n')).digest('hex').slice(0, 12);
  const target = join(tools, `python-${id}`);
  const python = join(target, 'bin/python');
  if (existsSync(python)) return python;
  mkdirSync(tools, { recursive: true });
  const work = mkdtempSync(join(tools, '.python-'));
  try {
    await run('python3', ['-m', 'venv', work]);
    await run(join(work, 'bin/python'), [
      '-m',
      'pip',
      'install',
      '--quiet',
      '--disable-pip-version-check',
      ...packages,
    ]);
    // Another process may have been faster.
    if (!existsSync(target)) renameSync(work, target);
  } catch (error) {
    const said = String(error.stderr ?? error.message)
      .trim()
      .split('\n')
      .at(-1);
    throw new Error(`a Python 3 with ${packages.join(' and ')} is needed: ${said}`, { cause: error });
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  return python;
}
