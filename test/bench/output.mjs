import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { plots } from './plots.mjs';
import { report } from './report.mjs';
import { summarize } from './summary.mjs';

const root = fileURLToPath(new URL('../..', import.meta.url));
const results = join(root, 'test/.results/bench');
const page = join(root, 'docs/performance.md');
const pictures = join(root, 'docs/performance');

/**
 * Prints a run and writes it to test/.results/bench/; and, if wanted, into docs/performance.md with its pictures.
 *
 * @param {{ about: object, results: object[], memory: object }} run
 * @param {boolean} intoDocs
 */
export function writeResults(run, intoDocs) {
  const rows = summarize(run.results);
  const text = report({ about: run.about, rows, memory: run.memory });
  const drawn = plots(rows);
  mkdirSync(results, { recursive: true });
  writeFileSync(join(results, 'bench.json'), JSON.stringify(run, undefined, 1));
  writeFileSync(join(results, 'bench.md'), `${text}\n`);
  for (const [name, svg] of Object.entries(drawn)) writeFileSync(join(results, name), svg);
  if (intoDocs) {
    mkdirSync(pictures, { recursive: true });
    for (const [name, svg] of Object.entries(drawn)) writeFileSync(join(pictures, name), svg);
    intoPage('bench', text);
  }
  console.log(text);
  console.log(`\nwritten to ${results}${intoDocs ? ` and ${page}` : ''}`);
}

/**
 * Writes a generated part of docs/performance.md.
 *
 * @param {'bench' | 'pubsub' | 'functions' | 'invoke' | 'profile'} part
 * @param {string} text
 */
export function intoPage(part, text) {
  writeFileSync(page, between(readFileSync(page, 'utf8'), part, text));
}

/**
 * A page with something else between the two markers of a part.
 *
 * @throws if the page does not have both
 */
export function between(whole, part, inside) {
  const markers = [`<!-- ${part} -->`, `<!-- /${part} -->`];
  const [from, to] = markers.map((marker) => whole.indexOf(marker));
  if (from < 0 || to < from) throw new Error(`docs/performance.md must hold ${markers.join(' and then ')}`);
  return `${whole.slice(0, from)}${markers[0]}\n\n${inside}\n\n${whole.slice(to)}`;
}
