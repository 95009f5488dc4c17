/**
 * Compiles each file of assembly/modules/ to dist/modules/<name>.wasm with the options of asconfig.json. A module
 * whose sources did not change is left alone.
 *
 * As a program: `node scripts/build-modules.mjs [NAME …]`, by default all.
 */
import { mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { filesUnder, root, unlessCurrent } from './lib/tree.mjs';

/**
 * @param {string[]} [names] modules to build; by default all
 * @returns {Promise<string[]>} file names of those that were built
 */
export async function buildModules(names) {
  const sources = filesUnder('assembly', (name) => name.endsWith('.ts') && !name.endsWith('.spec.ts'));
  const entries = filesUnder('assembly/modules', (name) => name.endsWith('.ts'));
  const built = [];
  for (const entry of entries) {
    const name = basename(entry, '.ts');
    if (names && !names.includes(name)) continue;
    const output = `dist/modules/${name}.wasm`;
    const ran = await unlessCurrent({
      stamp: `dist/modules/.${name}.hash`,
      // The lock file stands for the compiler and the packages whose sources are compiled in.
      inputs: [...sources, 'asconfig.json', 'package-lock.json'],
      outputs: [output],
      run: () => compile(entry, output),
    });
    if (ran) built.push(`${name}.wasm`);
  }
  return built;
}

async function compile(entry, output) {
  const { default: asc } = await import('assemblyscript/asc');
  mkdirSync(join(root, 'dist/modules'), { recursive: true });
  // A module that Envoy or a test is reading must not change under it: written aside, then renamed.
  const aside = `${output}.${process.pid}`;
  const options = JSON.parse(readFileSync(join(root, 'asconfig.json'), 'utf8')).targets.release;
  const { error, stderr } = await asc.main([entry, '--outFile', aside, ...flags(options)], { baseDir: root });
  if (error) {
    rmSync(join(root, aside), { force: true });
    process.stderr.write(stderr.toString());
    console.error(`${entry}: ${error.message}`);
    process.exit(1);
  }
  renameSync(join(root, aside), join(root, output));
}

/** The options of an asconfig target as flags; given so because a config file's outFile cannot be per entry. */
function flags(options) {
  return Object.entries(options).flatMap(([name, value]) => {
    if (value === false) return [];
    if (value === true) return [`--${name}`];
    return [`--${name}`, Array.isArray(value) ? value.join(',') : String(value)];
  });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const names = process.argv.slice(2);
  const built = await buildModules(names.length > 0 ? names : undefined);
  if (built.length > 0) console.log(`built ${built.join(', ')}`);
}
