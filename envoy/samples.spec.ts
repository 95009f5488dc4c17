import { readdirSync, readFileSync } from 'node:fs';

import { renderChart } from './helm-chart.js';
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

describe('the Helm chart', () => {
  const chart = new URL('./helm/layotto/', import.meta.url);
  const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as {
    version: string;
  };
  const files = renderChart(version);

  it('holds exactly what the generator makes', () => {
    const found = readdirSync(chart, { recursive: true, withFileTypes: true }).filter((entry) =>
      entry.isFile(),
    );
    expect(found.map(({ name }) => name).sort()).toEqual(
      Object.keys(files)
        .map((name) => name.replace(/.*\//, ''))
        .sort(),
    );
  });

  it.each(Object.keys(files))('%s is current', (name) => {
    expect(readFileSync(new URL(name, chart), 'utf8')).toBe(files[name]);
  });
});
