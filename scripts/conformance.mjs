/**
 * Runs the conformance suites on real backends: `node scripts/conformance.mjs [BACKEND]`, all of them by default. Ends
 * with a line per primitive and backend. A run of all in which all passed writes test/conformance/results.json and the
 * README's table.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';

import './lib/typescript.mjs';
import { README, RESULTS, resultsText, rowsOf, tableOf, titlesOf, withTable } from './lib/conformance.mjs';
import { root, writeAtomically } from './lib/tree.mjs';

const { BACKENDS } = await import('../test/conformance/backends.ts');

const backend = process.argv[2] || undefined;
if (backend !== undefined && !Object.hasOwn(BACKENDS, backend)) {
  console.error(`no backend '${backend}'; give BACKEND=… with one of: ${Object.keys(BACKENDS).join(', ')}`);
  process.exit(2);
}

const resultFile = join(root, 'test/.results/conformance.json');
mkdirSync(join(root, 'test/.results'), { recursive: true });
rmSync(resultFile, { force: true });
const jest = [
  join(root, 'node_modules/jest/bin/jest.js'),
  ...['--json', `--outputFile=${resultFile}`, '--maxWorkers=2', '--testPathPatterns=/test/conformance/'],
  `--testNamePattern=${titlesOf(backend)}`,
];
const env = {
  ...process.env,
  NODE_OPTIONS: `${process.env.NODE_OPTIONS ?? ''} --experimental-vm-modules --no-warnings`,
};
const { status } = spawnSync(process.execPath, jest, {
  cwd: root,
  env,
  stdio: ['ignore', 'ignore', 'inherit'],
});

const rows = rowsOf(JSON.parse(readFileSync(resultFile, 'utf8')));
for (const { primitive, backend: name, setup, passed, failed, ms } of rows) {
  const verdict = failed === 0 ? 'ok    ' : 'FAILED';
  const tests = `${passed} of ${passed + failed} tests`;
  console.log(
    `${verdict} ${primitive.padEnd(14)} ${name.padEnd(13)} ${setup.padEnd(26)} ${tests.padEnd(16)} ${(ms / 1000).toFixed(1)} s`,
  );
}
const failed = rows.filter((row) => row.failed > 0).length;
console.log(`${rows.length - failed} passed, ${failed} failed`);
if (rows.length === 0 && backend !== undefined) console.error(`no suite runs on ${backend} yet`);
if (status !== 0 || failed > 0 || rows.length === 0) process.exit(1);
if (backend === undefined) {
  writeAtomically(RESULTS, resultsText(rows));
  writeAtomically(README, withTable(readFileSync(README, 'utf8'), tableOf(rows, BACKENDS)));
}
