/* global WebAssembly */
/** Compiles a function, which is written with assembly/function, to a module. */
import { readFile } from 'node:fs/promises';
import { readFileSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

import { loopGuard } from './function-guard.mjs';
import { withoutInlining } from './inlining.mjs';
import { withSection } from './module-section.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
/** What a function imports `layotto/…` from: a folder that there is not, so that the package may be called anything. */
const LIBRARY = join(root, '.library');
/** Compiled in the function's place: it exports what Envoy calls. */
const ENTRY = 'layotto-function-entry.ts';

/** Says in one text why a function was not built. */
export class FunctionError extends Error {}

/** What the compiler says, without its last line, which counts what stands above it. */
function said(errors) {
  return errors.replace(/\s*^FAILURE .*\s*$/m, '').trim();
}

/**
 * @param {string} file the function's source, which calls `serve` once
 * @returns {Promise<Buffer>} the module, with its section
 */
export async function buildFunction(file) {
  const path = resolve(file);
  const folder = dirname(path);
  const name = basename(path).replace(/\.ts$/, '');
  const { asc, ast } = await compiler();
  let wasm;
  const { error, stderr } = await asc.main(
    [
      ENTRY,
      '--baseDir',
      folder,
      '--outFile',
      'function.wasm',
      '--path',
      LIBRARY,
      '--use',
      'abort=~lib/layotto/host/log/abort',
      // The compiler colors what it says wherever CI is set; here it becomes an error's text.
      '--noColors',
      '--optimizeLevel',
      '3',
      '--shrinkLevel',
      '1',
      '--noAssert',
      // Names: the library's functions are known by them. They do not stay in the module.
      '--debug',
      // Envoy knows the module's memory only once it is made, so nothing that asks the host may run before.
      '--exportStart',
      '_initialize',
      // 64 MiB: what a function may fill of its thread's memory.
      '--maximumMemory',
      '1024',
      // assembly/host/callbacks.ts says when garbage is collected.
      '--runtime',
      'minimal',
    ],
    {
      readFile: (wanted, base) => source(resolve(base, wanted), join(folder, ENTRY), name),
      writeFile: (_, content) => void (wasm = content),
      listFiles: () => [],
      transforms: [loopGuard(ast, asc.libraryFiles)],
    },
  );
  if (error || wasm === undefined)
    throw new FunctionError(said(stderr.toString()) || (error?.message ?? 'nothing was compiled'));
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  try {
    return withSection(withoutInlining(wasm, isLibrarys), name, version);
  } catch (error) {
    if (!(error instanceof WebAssembly.RuntimeError)) throw error;
    throw new FunctionError(
      `what stands outside of its methods ends in a trap, or does not end within 100 ms: ${error.message}`,
    );
  }
}

/** The author's own functions stay as they are: what is worth it for them nobody here knows. */
function isLibrarys(name) {
  return /^(~lib\/|start:|~start$)/.test(name);
}

async function compiler() {
  try {
    // One after the other: they share files, which jest's loader cannot link twice at once.
    const asc = await import('assemblyscript/asc');
    const ast = await import('assemblyscript');
    return { asc: asc.default, ast: ast.default ?? ast };
  } catch (error) {
    if (!/MODULE_NOT_FOUND$/.test(error?.code)) throw error;
    throw new FunctionError(
      'the AssemblyScript compiler is missing; run: npm install assemblyscript @solo-io/proxy-runtime as-wasi',
    );
  }
}

/** A file for the compiler; null if there is none. */
async function source(path, entry, name) {
  if (path === entry) return `import './${name}';\nexport * from 'layotto/function/exports';\n`;
  const library = join(LIBRARY, 'layotto');
  const real = path.startsWith(library) ? join(root, 'assembly', path.slice(library.length)) : path;
  try {
    return await readFile(real, 'utf8');
  } catch {
    return null;
  }
}
