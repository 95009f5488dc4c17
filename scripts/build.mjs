/**
 * Builds what changed: the bridge, the command and the Envoy generator to dist/ (tsc), the bridge with its packages to
 * dist/bridge/ (esbuild), and the filter's modules to dist/modules/ (asc), as many at a time as there are processors.
 * When nothing changed it only hashes the sources.
 *
 * `node scripts/build.mjs [MODULE …]`: these modules only; by default all.
 */
import { spawn } from 'node:child_process';
import { rmSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';

import { buildModule, moduleNames } from './build-modules.mjs';
import { bundleBridge } from './lib/bundle.mjs';
import { filesUnder, root, unlessCurrent } from './lib/tree.mjs';

const FOLDERS = ['components-bridge/src', 'cli/src', 'envoy', 'tools/apollo'];

const started = Date.now();
const modules = process.argv.length > 2 ? process.argv.slice(2) : moduleNames();
const built = await buildAll([
  ...modules.map((name) => [
    `${name}.wasm`,
    () => buildModule(name, () => node(['scripts/build-modules.mjs', name], 'ignore')),
  ]),
  ['bridge and command', buildPrograms],
  ['bridge as one program', buildBridge],
]);
if (built.length > 0) {
  console.log(`built ${built.join(', ')} in ${((Date.now() - started) / 1000).toFixed(1)} s`);
}

/** Runs the steps, several at a time; returns the names of those that had something to do. */
async function buildAll(steps) {
  const waiting = [...steps];
  const done = [];
  async function worker() {
    for (let step = waiting.shift(); step !== undefined; step = waiting.shift()) {
      const [name, build] = step;
      if (await build()) done.push(name);
    }
  }
  await Promise.all(Array.from({ length: availableParallelism() }, worker));
  return done;
}

function buildPrograms() {
  const sources = FOLDERS.flatMap(sourcesIn);
  // Declarations are checked, and nothing is made of them.
  const compiled = sources
    .filter((file) => !file.endsWith('.d.ts'))
    .map((file) => `dist/${file.replace(/\.ts$/, '.js')}`);
  return unlessCurrent({
    stamp: 'dist/.programs.hash',
    inputs: [...sources, 'tsconfig.json', 'tsconfig.build.json', 'package-lock.json'],
    outputs: compiled,
    run: async () => {
      removeStale(new Set(compiled));
      await node(['node_modules/typescript/bin/tsc', '-p', 'tsconfig.build.json'], 'inherit');
    },
  });
}

function buildBridge() {
  return unlessCurrent({
    stamp: 'dist/.bridge.hash',
    inputs: [...sourcesIn('components-bridge/src'), 'scripts/lib/bundle.mjs', 'package-lock.json'],
    outputs: ['dist/bridge/main.js', 'dist/.bridge-parts.json'],
    run: bundleBridge,
  });
}

function sourcesIn(folder) {
  return filesUnder(folder, (name) => name.endsWith('.ts') && !name.endsWith('.spec.ts'));
}

/** Removes what an earlier build made of sources that are gone; and lets tsc write outputs that were removed. */
function removeStale(wanted) {
  const present = FOLDERS.flatMap((folder) => filesUnder(`dist/${folder}`, (name) => name.endsWith('.js')));
  for (const file of present) {
    if (!wanted.has(file)) rmSync(join(root, file));
  }
  if ([...wanted].some((file) => !present.includes(file))) {
    rmSync(join(root, 'dist/.tsbuildinfo'), { force: true });
  }
}

/** Runs a program of the project; ends the build if it fails. */
function node(args, stdout) {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, args, { cwd: root, stdio: ['ignore', stdout, 'inherit'] });
    child.on('exit', (code) => (code === 0 ? resolve() : process.exit(1)));
  });
}
