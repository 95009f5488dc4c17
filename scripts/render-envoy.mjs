/**
 * Writes the examples in envoy/rendered/, and the chart in envoy/helm/layotto/, from the built generator: `node scripts/render-envoy.mjs` after a build.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';

import { renderChart } from '../dist/envoy/helm-chart.js';
import { renderSamples } from '../dist/envoy/samples.js';

const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));

write('envoy/rendered', renderSamples());
write('envoy/helm/layotto', renderChart(version));

function write(folder, files) {
  for (const [name, content] of Object.entries(files)) {
    const path = `${folder}/${name}`;
    const url = new URL(`../${path}`, import.meta.url);
    mkdirSync(new URL('./', url), { recursive: true });
    writeFileSync(url, content);
    process.stdout.write(`${path}\n`);
  }
}
