/**
 * What takes a JDK and Maven: `node --import ./scripts/lib/typescript.mjs scripts/test-java.mjs`. Apollo's own Java
 * clients against the stand-in for Apollo: Maven fetches the clients and says where they are; the JDK compiles and runs
 * the suite. And the jest suites of test/java, on a Kafka whose jars come from Maven. Ends with one line, `N passed,
 * N failed`.
 */
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';

import { ApolloStandIn, ENV, TOKEN, USER } from '../tools/apollo/stand-in.js';
import { kafkaClassPath } from '../tools/kafka/server.mjs';
import { root } from './lib/tree.mjs';

/** A plugin of its own version, so that Maven's many default ones are not needed. */
const CLASS_PATH = 'org.apache.maven.plugins:maven-dependency-plugin:3.8.1:build-classpath';
const APP = 'shop';
const ACCESS_KEY = 'a key of nobody else';
/** Tests in ApolloClients.java: one that is not heard of has failed. */
const TESTS = 6;
/** Files of jest in test/java: one that is not heard of has failed. */
const KAFKA_SUITES = 4;
/** Long enough for a cold machine to fetch what it needs. */
const FETCH_MS = 150_000;
const RUN_MS = 60_000;
/** All suites on Kafka, also where several things run at once. */
const KAFKA_MS = 420_000;

const work = mkdtempSync(join(tmpdir(), 'layotto-java-'));
let passed = 0;
let kafka = { passed: 0, failed: 1 };
try {
  await test().catch(told);
  kafka = await kafkaSuites().catch((error) => {
    told(error);
    return kafka;
  });
} finally {
  rmSync(work, { recursive: true, force: true });
}
const failed = TESTS - passed + kafka.failed;
console.log(`${passed + kafka.passed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);

function told(error) {
  console.error(error instanceof Error ? error.message : error);
}

/** The suites of test/java. @returns how many of their tests passed; a suite that could not run has failed */
async function kafkaSuites() {
  const results = join(root, 'test/.results/java.json');
  mkdirSync(join(root, 'test/.results'), { recursive: true });
  rmSync(results, { force: true });
  const env = {
    KAFKA_CLASSPATH: await kafkaClassPath(work),
    NODE_OPTIONS: `${process.env.NODE_OPTIONS ?? ''} --experimental-vm-modules --no-warnings`,
  };
  const jest = [
    join(root, 'node_modules/jest/bin/jest.js'),
    ...['--rootDir', root, '--json', `--outputFile=${results}`, '--runInBand'],
    ...['--testPathIgnorePatterns', '/node_modules/', '/dist/', '--testPathPatterns', '/test/java/'],
  ];
  await run(process.execPath, jest, KAFKA_MS, { env, cwd: root }).catch(told);
  const { testResults, numPassedTests } = JSON.parse(readFileSync(results, 'utf8'));
  for (const { assertionResults } of testResults) {
    for (const { fullName, status } of assertionResults) {
      console.log(`${status === 'passed' ? 'ok' : 'FAILED'} ${fullName}`);
    }
  }
  const whole = testResults.filter(({ assertionResults }) => assertionResults.length > 0).length;
  const tests = testResults.flatMap(({ assertionResults }) => assertionResults).length;
  const unheard = KAFKA_SUITES - whole;
  return { passed: numPassedTests, failed: tests - numPassedTests + unheard };
}

async function test() {
  const list = join(work, 'classpath');
  const pom = join(root, 'test/java/pom.xml');
  const maven = ['-B', '-q', '-f', pom, CLASS_PATH, `-Dmdep.outputFile=${list}`];
  // A registry that does not answer at once is asked again.
  await run('mvn', maven, FETCH_MS).catch(() => run('mvn', maven, FETCH_MS));
  const classPath = [readFileSync(list, 'utf8').trim(), work].join(delimiter);
  await run('javac', ['-cp', classPath, '-d', work, join(root, 'test/java/src/ApolloClients.java')], RUN_MS);

  const apollo = await ApolloStandIn.start();
  try {
    apollo.createApp(APP);
    apollo.createAccessKey(APP, ACCESS_KEY);
    apollo.release(APP, 'application', { greeting: 'hello' });
    const properties = {
      'app.id': APP,
      'apollo.meta': apollo.meta,
      'apollo.cache-dir': join(work, 'cache'),
      portal: apollo.portal.url,
      token: TOKEN,
      env: ENV,
      user: USER,
    };
    await suite(classPath, { ...properties, 'apollo.access-key.secret': ACCESS_KEY });
    const other = { 'apollo.access-key.secret': 'another', 'apollo.cache-dir': join(work, 'other-cache') };
    await suite(classPath, { ...properties, ...other }, 'with-a-wrong-access-key');
  } finally {
    await apollo.stop();
  }
}

async function suite(classPath, properties, ...args) {
  const settings = Object.entries(properties).map(([key, value]) => `-D${key}=${value}`);
  const output = await run('java', [...settings, '-cp', classPath, 'ApolloClients', ...args], RUN_MS);
  for (const line of output.split('\n').filter((one) => /^(ok|FAILED) /.test(one))) {
    console.log(line);
    if (line.startsWith('ok ')) passed++;
  }
}

/** Runs a program to its end. @returns what it wrote to standard output */
function run(command, args, timeoutMs, { env = {}, cwd = work } = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      cwd,
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: timeoutMs,
    });
    let output = '';
    let errors = '';
    child.stdout.on('data', (chunk) => (output += chunk));
    child.stderr.on('data', (chunk) => (errors += chunk));
    child.on('error', reject);
    child.on('close', (code, signal) => {
      if (code === 0) resolve(output);
      else reject(new Error(`${command} ended with ${signal ?? code}\n${output}${errors}`));
    });
  });
}
