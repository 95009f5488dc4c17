/**
 * Everything that has to hold before a change goes in: the checks, then the tests in two phases. Ends with one line,
 * `N passed, N failed`; each check counts as one. A skipped test counts as failed: nothing is left out unseen.
 *
 * `node scripts/test.mjs FOLDER`: only the tests of this folder, without the checks.
 */
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { delimiter, join } from 'node:path';

import './lib/typescript.mjs';
import { ALONE } from './lib/alone.mjs';
import { outdated, rowsOf } from './lib/conformance.mjs';
import { root } from './lib/tree.mjs';

const NODE = process.execPath;
const bin = (path) => join(root, 'node_modules', path);

const CHECKS = [
  ['types', [bin('typescript/bin/tsc'), '--noEmit', '-p', 'tsconfig.json']],
  ['lint', [bin('eslint/bin/eslint.js'), '.', '--max-warnings', '0']],
  ['format', [bin('prettier/bin/prettier.cjs'), '--check', '--log-level', 'warn', '.']],
  ['generated code', ['scripts/check-generated.mjs']],
  ['import directions', ['scripts/check-imports.mjs']],
];

/**
 * Suites that start servers: after the others, and each group of folders in a process of its own, so that one that dies
 * takes no other's results along. Two suites at a time, except where milliseconds or the machine's memory are counted.
 */
const GROUPS = [
  ['test/e2e'],
  ['test/fault'],
  // The one is a long suite, the other two of half its length.
  ['test/fuzz', 'test/package'],
  ['test/compat'],
  ['test/docs'],
];

/** Need what not every machine has, and have make targets of their own, which `.ci/run` runs where it is. */
const BY_ITSELF = ['test/java', 'test/istio'];

const NOT_TESTS = ['/node_modules/', '/dist/', '/.tools/', ...BY_ITSELF.map(inside)];
const PHASES = [
  [
    'unit tests',
    ['--maxWorkers=2', `--testPathIgnorePatterns=${anyOf([...NOT_TESTS, ...GROUPS.flat().map(inside)])}`],
  ],
  ...GROUPS.flatMap(phasesOf),
];

/** The tests of some folders, side by side where they may be, and then the suites that run alone. */
function phasesOf(folders) {
  const where = `--testPathPatterns=${anyOf(folders.map(inside))}`;
  const alone = ALONE.filter((suite) => folders.some((folder) => suite.startsWith(`${folder}/`)));
  const ignored = `--testPathIgnorePatterns=${anyOf([...NOT_TESTS, ...alone.map((suite) => `/${suite}`)])}`;
  const name = folders.join(' and ');
  const phases = [[name, ['--maxWorkers=2', where, ignored]]];
  if (alone.length > 0) phases.push([`${name}, alone`, ['--maxWorkers=1', '--runTestsByPath', ...alone]]);
  return phases;
}

// What npm scripts have on their path: buf finds its plugins there.
process.env.PATH = `${bin('.bin')}${delimiter}${process.env.PATH}`;

const { BACKENDS } = await import('../test/conformance/backends.ts');

let passed = 0;
let failed = 0;
/** What each phase found, as jest reports it. */
const reports = [];

mkdirSync(join(root, 'test/.results'), { recursive: true });
const [only] = process.argv.slice(2);
if (only !== undefined) {
  const options = ['--runInBand', `--testPathPatterns=${anyOf([inside(only)])}`];
  timed(only, () => jest(options, join(root, 'test/.results/only.json')));
  finish();
}
const waiting = [...CHECKS];
await Promise.all(Array.from({ length: 2 }, checkInTurn));
for (const [index, [name, options]] of PHASES.entries()) {
  timed(name, () => jest(options, join(root, `test/.results/${index + 1}.json`)));
}
const current = timed('conformance results', conformanceResults);
count(current ? 1 : 0, current ? 0 : 1);
finish();

/** Takes the next check until none waits; what a check says is printed when it is over. */
async function checkInTurn() {
  for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
    const [name, command] = next;
    const started = Date.now();
    const ok = await new Promise((resolve) => {
      const child = spawn(NODE, command, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] });
      const said = [];
      child.stdout.on('data', (chunk) => said.push(chunk));
      child.stderr.on('data', (chunk) => said.push(chunk));
      child.on('close', (status) => {
        process.stdout.write(Buffer.concat(said));
        resolve(status === 0);
      });
    });
    say(name, ok, started);
    count(ok ? 1 : 0, ok ? 0 : 1);
  }
}

function finish() {
  console.log(`${passed} passed, ${failed} failed`);
  process.exit(failed > 0 || passed === 0 ? 1 : 0);
}

function jest(options, resultFile) {
  rmSync(resultFile, { force: true });
  const env = {
    ...process.env,
    NODE_OPTIONS: `${process.env.NODE_OPTIONS ?? ''} --experimental-vm-modules --no-warnings`,
  };
  const { status } = run(
    [bin('jest/bin/jest.js'), '--json', `--outputFile=${resultFile}`, ...options],
    env,
    'ignore',
  );
  if (!existsSync(resultFile)) {
    console.error('jest ended without a result');
    count(0, 1);
    return false;
  }
  const result = JSON.parse(readFileSync(resultFile, 'utf8'));
  reports.push(result);
  const skipped = result.numPendingTests + result.numTodoTests;
  if (skipped > 0) console.error(`${skipped} tests were skipped; that counts as failed`);
  // A suite that could not be loaded has no tests to count; a run can also fail as a whole.
  let bad = result.numFailedTests + result.numRuntimeErrorTestSuites + skipped;
  if (bad === 0 && status !== 0) bad = 1;
  count(result.numPassedTests, bad);
  return bad === 0;
}

/** Whether the committed conformance results and the README's table say what this run found. */
function conformanceResults() {
  const rows = rowsOf({ testResults: reports.flatMap(({ testResults }) => testResults) });
  const wrong = outdated(rows, BACKENDS);
  for (const file of wrong)
    console.error(`${file} differs from what passed; run 'make conformance' and commit it`);
  return wrong.length === 0;
}

function run(args, env = process.env, stdout = 'inherit') {
  return spawnSync(NODE, args, { cwd: root, env, stdio: ['ignore', stdout, 'inherit'] });
}

function timed(name, action) {
  const started = Date.now();
  const ok = action();
  say(name, ok, started);
  return ok;
}

function say(name, ok, started) {
  console.log(`${ok ? 'ok    ' : 'FAILED'} ${name} (${((Date.now() - started) / 1000).toFixed(1)} s)`);
}

function count(good, bad) {
  passed += good;
  failed += bad;
}

function inside(folder) {
  return `/${folder}/`;
}

function anyOf(parts) {
  return parts.map((part) => part.replaceAll('.', '\\.')).join('|');
}
