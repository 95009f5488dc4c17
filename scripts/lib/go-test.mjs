import { spawnSync } from 'node:child_process';
import { join } from 'node:path';

import { root } from './tree.mjs';

/**
 * Runs the tests of a Go module and ends this process, with one line, `N passed, N failed`.
 *
 * @param {string} folder the module's
 */
export function goTest(folder) {
  const { status, stdout, error } = spawnSync('go', ['test', '-json', '-count=1', './...'], {
    cwd: join(root, folder),
    env: { ...process.env, GOFLAGS: '-mod=mod' },
    encoding: 'utf8',
    maxBuffer: 1 << 26,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  if (error !== undefined) console.error(`go cannot be run: ${error.message}`);
  let passed = 0;
  let failed = 0;
  for (const line of (stdout ?? '').split('\n').filter((text) => text.startsWith('{'))) {
    const { Action, Test, Output } = JSON.parse(line);
    // Tests with parts count by their parts.
    if (Test?.includes('/') && Action === 'pass') passed++;
    if (Test?.includes('/') && Action === 'fail') failed++;
    if (Action === 'output' && /^\s+\S+\.go:\d+: /.test(Output)) console.log(`${Test}: ${Output.trim()}`);
    if (Action === 'build-output') process.stdout.write(Output);
  }
  if (failed === 0 && (status !== 0 || passed === 0)) failed = 1;
  console.log(`${passed} passed, ${failed} failed`);
  process.exit(failed > 0 ? 1 : 0);
}
