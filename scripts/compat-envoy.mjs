/**
 * Runs the suites in which Envoy takes part on every version of Envoy that the runtime is made for, which are fetched
 * when they are needed: `node scripts/compat-envoy.mjs [VERSION]`. Ends with one line, `N passed, N failed`. A run of all
 * writes test/e2e/envoy-versions.json and the table of docs/proxies.md.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join, relative } from 'node:path';

import { ENVOY_VERSIONS, ToolError, envoyBinary } from '../tools/get.mjs';
import { DOCUMENT, RESULTS, SUITES, resultsText, tableOf, withTable } from './lib/envoy-versions.mjs';
import { root, writeAtomically } from './lib/tree.mjs';

const only = process.argv[2] || undefined;
if (only !== undefined && !ENVOY_VERSIONS.includes(only)) {
  console.error(`no Envoy ${only} is tested; give VERSION=… with one of: ${ENVOY_VERSIONS.join(', ')}`);
  process.exit(2);
}

const suites = Object.keys(SUITES);
let passed = 0;
let failed = 0;
const found = {};
for (const version of only === undefined ? [...ENVOY_VERSIONS].reverse() : [only]) {
  found[version] = await run(version);
}
if (only === undefined && failed === 0) {
  writeAtomically(RESULTS, resultsText(found));
  writeAtomically(DOCUMENT, withTable(readFileSync(DOCUMENT, 'utf8'), tableOf(found)));
}
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed > 0 || passed === 0 ? 1 : 0);

/** Runs the suites on one version. @returns those in which every test passed */
async function run(version) {
  const started = Date.now();
  let path;
  try {
    ({ path } = await envoyBinary({ version, log: console.log }));
  } catch (error) {
    if (!(error instanceof ToolError)) throw error;
    console.log(error.message);
    failed++;
    return [];
  }
  console.log(`Envoy ${version}`);
  const report = join(root, `test/.results/envoy-${version}.json`);
  mkdirSync(join(root, 'test/.results'), { recursive: true });
  rmSync(report, { force: true });
  const jest = [
    join(root, 'node_modules/jest/bin/jest.js'),
    ...['--json', `--outputFile=${report}`, '--maxWorkers=2', '--runTestsByPath', ...suites],
    '--reporters=<rootDir>/scripts/lib/suite-lines.mjs',
  ];
  const env = {
    ...process.env,
    ENVOY_BIN: path,
    NODE_OPTIONS: `${process.env.NODE_OPTIONS ?? ''} --experimental-vm-modules --no-warnings`,
  };
  const { status } = spawnSync(process.execPath, jest, { cwd: root, env, stdio: ['ignore', 2, 'inherit'] });
  const { good, passes, failures } = read(report, status);
  passed += passes;
  failed += failures;
  const verdict = failures === 0 ? 'ok    ' : 'FAILED';
  console.log(`${verdict} Envoy ${version} (${((Date.now() - started) / 1000).toFixed(1)} s)`);
  return good;
}

/** What jest reports; without a report the run counts as one failure, and so does a suite without tests. */
function read(file, status) {
  let report;
  try {
    report = JSON.parse(readFileSync(file, 'utf8'));
  } catch {
    return { good: [], passes: 0, failures: 1 };
  }
  const good = report.testResults
    .filter(({ status: verdict, assertionResults }) => verdict === 'passed' && assertionResults.length > 0)
    .map(({ name }) => relative(root, name));
  const skipped = report.numPendingTests + report.numTodoTests;
  let failures = report.numFailedTests + report.numRuntimeErrorTestSuites + skipped;
  if (failures === 0 && (status !== 0 || good.length !== suites.length)) failures = 1;
  return {
    good: suites.filter((suite) => good.includes(suite)),
    passes: report.numPassedTests,
    failures,
  };
}
