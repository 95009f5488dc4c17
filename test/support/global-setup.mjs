import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/**
 * Builds what the tests run, as far as sources changed; when all is current it only hashes them.
 * `LAYOTTO_TEST_BUILD=0` leaves it out, to run a unit test while the sources of something else do not compile.
 */
export default function setup() {
  if (process.env['LAYOTTO_TEST_BUILD'] === '0') return;
  const root = fileURLToPath(new URL('../..', import.meta.url));
  const build = fileURLToPath(new URL('../../scripts/build.mjs', import.meta.url));
  // Standard output may be a report for another program.
  const { status } = spawnSync(process.execPath, [build], { cwd: root, stdio: ['ignore', 2, 2] });
  if (status !== 0) throw new Error('the build failed, so there is nothing to test; see its messages above');
}
