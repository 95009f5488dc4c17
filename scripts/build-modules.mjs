/**
 * Compiles files of assembly/modules/ to dist/modules/<name>.wasm with the options of asconfig.json. A module whose
 * sources did not change is left alone.
 *
 * As a program: `node scripts/build-modules.mjs [NAME …]`, by default all.
 */
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { withoutInlining } from '../tools/inlining.mjs';
import { withSection } from '../tools/module-section.mjs';
import { filesUnder, root, unlessCurrent } from './lib/tree.mjs';

/** Names of all modules. */
export function moduleNames() {
  return filesUnder('assembly/modules', (name) => name.endsWith('.ts')).map((file) => basename(file, '.ts'));
}

/**
 * Builds one module if a source changed.
 * @param {string} name
 * @param {(entry: string, output: string) => Promise<void>} [compileModule] how
 * @returns {Promise<boolean>} whether it was built
 */
export async function buildModule(name, compileModule = compile) {
  const output = `dist/modules/${name}.wasm`;
  const sources = filesUnder('assembly', (file) => file.endsWith('.ts') && !file.endsWith('.spec.ts'));
  return unlessCurrent({
    stamp: `dist/modules/.${name}.hash`,
    // The lock file stands for the compiler and the packages whose sources are compiled in.
    inputs: [
      ...[...sources, 'asconfig.json', 'package.json', 'package-lock.json'],
      ...['tools/inlining.mjs', 'tools/module-section.mjs'],
    ],
    outputs: [output],
    run: () => compileModule(`assembly/modules/${name}.ts`, output),
  });
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
  try {
    const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
    const wasm = readFileSync(join(root, aside));
    writeFileSync(join(root, aside), withSection(withoutInlining(wasm), basename(entry, '.ts'), version));
  } catch (problem) {
    rmSync(join(root, aside), { force: true });
    console.error(`${entry}: ${problem.message}`);
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
  const names = process.argv.length > 2 ? process.argv.slice(2) : moduleNames();
  for (const name of names) {
    if (await buildModule(name)) console.log(`built ${name}.wasm`);
  }
}
