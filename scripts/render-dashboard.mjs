/** Writes docs/operations/grafana.json, or with --check says whether it is what would be written. */
import { readFileSync, writeFileSync } from 'node:fs';

import { format, resolveConfig } from 'prettier';

import { dashboard } from './lib/dashboard.mjs';

const name = 'docs/operations/grafana.json';
const file = new URL(`../${name}`, import.meta.url);
const options = { ...(await resolveConfig(file)), parser: 'json' };
const text = await format(JSON.stringify(dashboard(), undefined, 2), options);

if (!process.argv.includes('--check')) {
  writeFileSync(file, text);
  process.stdout.write(`${name}\n`);
} else if (readFileSync(file, 'utf8') !== text) {
  console.error(`${name}: differs from what scripts/lib/dashboard.mjs says; run "make generate"`);
  process.exitCode = 1;
}
