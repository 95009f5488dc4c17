import { readdirSync, readFileSync } from 'node:fs';

import { renderSamples } from './samples.js';

const folder = new URL('./rendered/', import.meta.url);
const samples = renderSamples();

it('the folder of examples holds exactly what the generator prints', () => {
  expect(readdirSync(folder).sort()).toEqual([...Object.keys(samples), 'README.md'].sort());
});

it.each(Object.keys(samples))('rendered/%s is current', (name) => {
  // If this fails after a change to the generator: node scripts/render-envoy.mjs, and read the difference.
  expect(readFileSync(new URL(name, folder), 'utf8')).toBe(samples[name]);
});
