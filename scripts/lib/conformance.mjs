/**
 * What conformance suites found: which primitive passed on which backend. A suite says what it is in its title, see
 * test/conformance/backends.ts.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { root } from './tree.mjs';

/** The committed results, and the document that shows them. */
export const RESULTS = join(root, 'test/conformance/results.json');
export const README = join(root, 'README.md');

const TITLE = /^conformance of (\S+) on (\S+) \((.+)\)$/;
const MARKED = /(<!-- conformance -->\n)[\s\S]*?(<!-- \/conformance -->)/;

/**
 * @typedef {{primitive: string, backend: string, setup: string, passed: number, failed: number, ms: number}} Row
 */

/** A pattern for jest that takes the suites of one backend, or of all. */
export function titlesOf(backend) {
  return `^conformance of \\S+ on ${backend ?? '\\S+'} \\(`;
}

/**
 * The rows of a jest run. What was not run does not count: a row without a test that passed is none.
 * @param {object} report what `jest --json` writes
 * @returns {Row[]} sorted
 */
export function rowsOf(report) {
  const rows = new Map();
  for (const { assertionResults } of report.testResults) {
    for (const { ancestorTitles, status, duration } of assertionResults) {
      const [title, primitive, backend, setup] = TITLE.exec(ancestorTitles[0] ?? '') ?? [];
      if (title === undefined || (status !== 'passed' && status !== 'failed')) continue;
      const row = rows.get(title) ?? { primitive, backend, setup, passed: 0, failed: 0, ms: 0 };
      row[status]++;
      row.ms += duration ?? 0;
      rows.set(title, row);
    }
  }
  const key = ({ primitive, backend, setup }) => `${backend} ${primitive} ${setup}`;
  return [...rows.values()].sort((a, b) => (key(a) < key(b) ? -1 : 1));
}

/** The results as they are committed: the rows in which every test passed. */
export function resultsText(rows) {
  const passed = rows
    .filter(({ failed }) => failed === 0)
    .map(({ primitive, backend, setup }) => ({ primitive, backend, setup }));
  return `[\n${passed.map((row) => `  ${JSON.stringify(row)}`).join(',\n')}\n]\n`;
}

/**
 * Results as a table: a line per backend, a column per primitive.
 * @param {{primitive: string, backend: string, setup: string}[]} results
 * @param {Record<string, string>} names of backends, for people
 */
export function tableOf(results, names) {
  const primitives = [...new Set(results.map(({ primitive }) => primitive))].sort();
  const backends = [...new Set(results.map(({ backend }) => backend))].sort();
  const lines = backends.map((backend) => {
    const rows = results.filter((row) => row.backend === backend);
    const setups = [...new Set(rows.map(({ setup }) => setup))].sort();
    const cells = primitives.map((primitive) => {
      const own = rows.filter((row) => row.primitive === primitive).map(({ setup }) => setup);
      return own.length === setups.length ? 'yes' : own.sort().join(', ');
    });
    return [names[backend] ?? backend, ...cells, setups.join(', ')];
  });
  const table = [['backend', ...primitives, 'tested as'], [...primitives, '', ''].map(() => '---'), ...lines];
  return table.map((cells) => `| ${cells.join(' | ')} |\n`).join('');
}

/** A document with the table between its marks. @throws Error if it has no marks */
export function withTable(document, table) {
  if (!MARKED.test(document))
    throw new Error('README.md has no <!-- conformance --> … <!-- /conformance -->');
  return document.replace(MARKED, (_, begin, end) => `${begin}\n${table}\n${end}`);
}

/**
 * What of the committed results and the README is not what a run found; empty if all is.
 * @param {Row[]} rows of a run of every suite
 */
export function outdated(rows, names) {
  const wrong = [];
  if (readFileSync(RESULTS, 'utf8') !== resultsText(rows)) wrong.push('test/conformance/results.json');
  const document = readFileSync(README, 'utf8');
  if (
    document !==
    withTable(
      document,
      tableOf(
        rows.filter(({ failed }) => failed === 0),
        names,
      ),
    )
  )
    wrong.push('README.md');
  return wrong;
}
