/**
 * Writes the examples in envoy/rendered/ from the built generator: `node scripts/render-envoy.mjs` after a build.
 */
import { mkdirSync, writeFileSync } from 'node:fs';

import { renderSamples } from '../dist/envoy/samples.js';

const folder = new URL('../envoy/rendered/', import.meta.url);
mkdirSync(folder, { recursive: true });
for (const [name, content] of Object.entries(renderSamples())) {
  writeFileSync(new URL(name, folder), content);
  process.stdout.write(`envoy/rendered/${name}\n`);
}
