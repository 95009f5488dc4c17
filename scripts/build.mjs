/**
 * Builds what changed: the bridge, the command and the Envoy generator to dist/ (tsc), and the filter's modules to
 * dist/modules/ (asc). When nothing changed it only hashes the sources.
 */
import { spawnSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { join } from 'node:path';

import { buildModules } from './build-modules.mjs';
import { filesUnder, root, unlessCurrent } from './lib/tree.mjs';

const FOLDERS = ['components-bridge/src', 'cli/src', 'envoy'];

async function buildPrograms() {
  const isSource = (name) => name.endsWith('.ts') && !name.endsWith('.spec.ts');
  const sources = FOLDERS.flatMap((folder) => filesUnder(folder, isSource));
  const compiled = sources.map((file) => `dist/${file.replace(/\.ts$/, '.js')}`);
  return unlessCurrent({
    stamp: 'dist/.programs.hash',
    inputs: [...sources, 'tsconfig.json', 'tsconfig.build.json', 'package-lock.json'],
    outputs: compiled,
    run: () => {
      removeStale(new Set(compiled));
      const tsc = join(root, 'node_modules/typescript/bin/tsc');
      const { status } = spawnSync(process.execPath, [tsc, '-p', 'tsconfig.build.json'], {
        cwd: root,
        stdio: 'inherit',
      });
      if (status !== 0) process.exit(1);
    },
  });
}

/** Removes what an earlier build made of sources that are gone; and lets tsc write outputs that were removed. */
function removeStale(wanted) {
  const present = FOLDERS.flatMap((folder) => filesUnder(`dist/${folder}`, (name) => name.endsWith('.js')));
  for (const file of present) {
    if (!wanted.has(file)) rmSync(join(root, file));
  }
  if ([...wanted].some((file) => !present.includes(file)))
    rmSync(join(root, 'dist/.tsbuildinfo'), { force: true });
}

const started = Date.now();
const built = [];
if (await buildPrograms()) built.push('bridge and command');
built.push(...(await buildModules()));
if (built.length > 0)
  console.log(`built ${built.join(', ')} in ${((Date.now() - started) / 1000).toFixed(1)} s`);
