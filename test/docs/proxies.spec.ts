import { readFileSync } from 'node:fs';

import {
  DOCUMENT,
  RESULTS,
  SUITES,
  expected,
  tableOf,
  withTable,
} from '../../scripts/lib/envoy-versions.mjs';
import { SUPPORTED_ENVOY } from '../../envoy/version.js';

/** docs/proxies.md says what `make compat-envoy` found last. */

const results = JSON.parse(readFileSync(RESULTS, 'utf8')) as Record<string, string[]>;

it('every suite passed on every version', () => {
  expect(results).toEqual(expected());
  expect(Object.keys(SUITES).length).toBeGreaterThan(20);
});

it('there is a version of every minor that is supported', () => {
  const minors = Object.keys(results).map((version) => version.split('.').slice(0, 2).join('.'));
  expect(minors).toEqual([...SUPPORTED_ENVOY]);
});

it('the document shows the results', () => {
  const document = readFileSync(DOCUMENT, 'utf8');
  expect(withTable(document, tableOf(results))).toBe(document);
});
