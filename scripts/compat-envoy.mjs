/**
 * Runs the suites in which Envoy takes part on every version of Envoy that the runtime is made for, which are fetched
 * when they are needed: `node scripts/compat-envoy.mjs [VERSION]`. Ends with one line, `N passed, N failed`. What was found of
 * the versions that ran goes into test/e2e/envoy-versions.json and the table of docs/proxies.md.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join, relative } from 'node:path';

import { ENVOY_VERSIONS, ToolError, envoyBinary } from '../tools/get.mjs';
import { ALONE } from './lib/alone.mjs';
import {
  DOCUMENT,
  OF_THE_MACHINE,
  RESULTS,
  SUITES,
  resultsText,
  tableOf,
  withTable,
} from './lib/envoy-versions.mjs';
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
const before = JSON.parse(readFileSync(RESULTS, 'utf8'));
const results = Object.fromEntries(
  [...ENVOY_VERSIONS].reverse().map((version) => [version, found[version] ?? before[version] ?? []]),
);
writeAtomically(RESULTS, resultsText(results));
writeAtomically(DOCUMENT, withTable(readFileSync(DOCUMENT, 'utf8'), tableOf(results)));
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
  const beside = jest(
    path,
    version,
    2,
    suites.filter((suite) => !ALONE.includes(suite)),
  );
  const alone = jest(
    path,
    version,
    1,
    suites.filter((suite) => ALONE.includes(suite)),
  );
  passed += beside.passes + alone.passes;
  const failures = beside.failures + alone.failures;
  failed += failures;
  const verdict = failures === 0 ? 'ok    ' : 'FAILED';
  console.log(`${verdict} Envoy ${version} (${((Date.now() - started) / 1000).toFixed(1)} s)`);
  return suites.filter((suite) => beside.good.includes(suite) || alone.good.includes(suite));
}

function jest(envoy, version, workers, wanted) {
  const report = join(root, `test/.results/envoy-${version}.json`);
  mkdirSync(join(root, 'test/.results'), { recursive: true });
  rmSync(report, { force: true });
  const args = [
    join(root, 'node_modules/jest/bin/jest.js'),
    ...['--json', `--outputFile=${report}`, `--maxWorkers=${workers}`, '--runTestsByPath', ...wanted],
    '--reporters=<rootDir>/scripts/lib/suite-lines.mjs',
    `--testNamePattern=^(?!.*${OF_THE_MACHINE})`,
  ];
  const env = {
    ...process.env,
    ENVOY_BIN: envoy,
    NODE_OPTIONS: `${process.env.NODE_OPTIONS ?? ''} --experimental-vm-modules --no-warnings`,
  };
  const { status } = spawnSync(process.execPath, args, { cwd: root, env, stdio: ['ignore', 2, 'inherit'] });
  return read(report, status, wanted);
}

/** What jest reports; without a report the run counts as one failure, and so does a suite without tests. */
function read(file, status, wanted) {
  let report;
  try {
    report = JSON.parse(readFileSync(file, 'utf8'));
  } catch {
    return { good: [], passes: 0, failures: 1 };
  }
  const good = report.testResults
    .filter(({ status: verdict, assertionResults: tests }) => verdict !== 'failed' && tests.some(isPass))
    .map(({ name }) => relative(root, name));
  const skipped = report.testResults
    .flatMap(({ assertionResults }) => assertionResults)
    .filter(({ status: verdict, fullName }) => isSkip(verdict) && !fullName.includes(OF_THE_MACHINE)).length;
  let failures = report.numFailedTests + report.numRuntimeErrorTestSuites + skipped;
  if (failures === 0 && (status !== 0 || good.length !== wanted.length)) failures = 1;
  return { good, passes: report.numPassedTests, failures };
}

function isPass({ status: verdict }) {
  return verdict === 'passed';
}

function isSkip(verdict) {
  return verdict !== 'passed' && verdict !== 'failed';
}
