/** Puts the bridge and the packages it uses together, so that an idle one holds less. */
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { build } from 'esbuild';

import { root } from './tree.mjs';

const FOLDER = 'dist/bridge';

/** Packages that are CommonJS ask for Node's own modules by this. */
const REQUIRE = `import { createRequire as requireFrom } from 'node:module';
const require = requireFrom(import.meta.url);`;

/** Of zod's messages in some 50 languages, only the English ones are used. */
const englishOnly = {
  name: 'english only',
  setup({ onLoad }) {
    onLoad({ filter: /[\\/]zod[\\/]v4[\\/]locales[\\/]index\.js$/ }, () => ({
      contents: `export { default as en } from './en.js';`,
    }));
  },
};

/**
 * Writes `dist/bridge/main.js` and beside it a file for each part that is loaded on first use: a backend's client, what
 * reads configuration files. Names and lines are left as they are, because stack traces should be readable and making
 * the text smaller saves less than 1 MB. Source maps are there for `node --enable-source-maps`.
 *
 * Which sources each file holds stands in `dist/.bridge-parts.json`.
 */
export async function bundleBridge() {
  rmSync(join(root, FOLDER), { recursive: true, force: true });
  const { metafile } = await build({
    absWorkingDir: root,
    entryPoints: { main: 'components-bridge/src/start.ts' },
    outdir: FOLDER,
    entryNames: '[name]',
    chunkNames: '[name]-[hash]',
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    // Finds its native library beside its own files.
    external: ['lmdb'],
    plugins: [englishOnly],
    banner: { js: REQUIRE },
    legalComments: 'linked',
    sourcemap: true,
    sourcesContent: false,
    logLevel: 'warning',
    metafile: true,
  });
  const parts = Object.entries(metafile.outputs).filter(([file]) => file.endsWith('.js'));
  const inputs = parts.map(([file, { inputs }]) => [file, Object.keys(inputs)]);
  writeFileSync(join(root, 'dist/.bridge-parts.json'), JSON.stringify(Object.fromEntries(inputs), null, 1));
}
