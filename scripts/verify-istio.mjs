/**
 * Everything that is printed for a mesh, through Istio's own code: builds the Go program of test/istio, which is Istio's
 * validation, its config generator and its agent's fetching, then runs the suites there. Ends with one line,
 * `N passed, N failed`.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';

import { root } from './lib/tree.mjs';

mkdirSync(join(root, '.tools'), { recursive: true });
console.log("building Istio's generator; the first time takes minutes");
// One package at a time: Istio's largest take a gigabyte each.
const built = run('go', ['build', '-p', '1', '-o', join(root, '.tools/istio-verify'), '.'], {
  cwd: join(root, 'test/istio'),
  env: { ...process.env, GOFLAGS: '-mod=readonly -buildvcs=false', GOWORK: 'off' },
});
if (built !== 0) {
  console.log('0 passed, 1 failed');
  process.exit(1);
}
process.exit(run(process.execPath, ['scripts/test.mjs', 'test/istio'], { cwd: root }));

function run(command, args, options) {
  const { status, error } = spawnSync(command, args, { stdio: 'inherit', ...options });
  if (error !== undefined) console.error(`${command}: ${error.message}`);
  return status ?? 1;
}
