/** A reporter for jest: one line per suite on standard output, and the failures. */
import { relative } from 'node:path';

import { root } from './tree.mjs';

export default class SuiteLines {
  onTestResult({ path }, { numPassingTests, numFailingTests, failureMessage, perfStats }) {
    const verdict = failureMessage ? 'FAILED' : 'ok    ';
    const tests = `${numPassingTests} of ${numPassingTests + numFailingTests} tests`;
    const seconds = ((perfStats.end - perfStats.start) / 1000).toFixed(1);
    console.log(`  ${verdict} ${relative(root, path).padEnd(44)} ${tests.padEnd(18)} ${seconds} s`);
    if (failureMessage) console.log(failureMessage);
  }
}
