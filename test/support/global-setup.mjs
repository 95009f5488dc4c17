import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** What is built, and what it is built from. */
const OUTPUTS = [
  { built: 'dist/modules/runtime.wasm', from: ['assembly', 'scripts'] },
  { built: 'dist/.tsbuildinfo', from: ['components-bridge/src', 'cli/src', 'envoy', 'tsconfig.build.json'] },
];

/** Newest change below a file or folder, in milliseconds; 0 if there is nothing. Tests are not built. */
function newest(path) {
  if (!existsSync(path)) return 0;
  const stat = statSync(path);
  if (!stat.isDirectory()) return path.endsWith('.spec.ts') ? 0 : stat.mtimeMs;
  return Math.max(0, ...readdirSync(path).map((name) => newest(join(path, name))));
}

/**
 * Builds what the tests run, if a source is newer than it. Costs a look at the file times when all is current.
 * `LAYOTTO_TEST_BUILD=0` leaves it out, to run a unit test while the sources of something else do not compile.
 */
export default function setup() {
  if (process.env['LAYOTTO_TEST_BUILD'] === '0') return;
  const stale = OUTPUTS.filter(({ built, from }) => {
    const time = newest(join(root, built));
    return time === 0 || from.some((source) => newest(join(root, source)) > time);
  });
  if (stale.length === 0) return;
  console.error(`\nbuilding first: ${stale.map(({ built }) => built).join(', ')} is older than its sources`);
  execFileSync('make', ['build'], { cwd: root, stdio: ['ignore', 'inherit', 'inherit'] });
}
