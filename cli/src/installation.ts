import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

import type * as Tools from '../../tools/get.mjs';
import { UserError } from './errors.js';

/** The parts of the installed package that the command uses. */
export interface Installation {
  /** The package's folder. */
  root: string;
  version: string;
  /** The filter's module. */
  module: string;
  /** The bridge's program. */
  bridge: string;
}

/**
 * Finds the package this program belongs to: in a checkout it is the project, after an install the package's folder.
 *
 * @throws UserError if something was not built
 */
export function findInstallation(): Installation {
  const root = packageFolder();
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };
  const module = join(root, 'dist/modules/runtime.wasm');
  const bridge = join(root, 'dist/bridge/main.js');
  for (const file of [module, bridge]) {
    if (!existsSync(file)) throw new UserError(`${file} is missing; run "make build" in the project folder`);
  }
  return { root, version, module, bridge };
}

/** The folder of the package this program belongs to, built or not. */
export function packageFolder(): string {
  return packageRoot(dirname(fileURLToPath(import.meta.url)));
}

/** The folder above `from` whose package.json is the package's, not a workspace's. */
function packageRoot(from: string): string {
  for (let folder = from; ; folder = dirname(folder)) {
    const file = join(folder, 'package.json');
    if (existsSync(file)) {
      const { name } = JSON.parse(readFileSync(file, 'utf8')) as { name?: string };
      if (name === 'layotto-envoy') return folder;
    }
    if (dirname(folder) === folder)
      throw new UserError(`no layotto-envoy package around ${from}; install it again`);
  }
}

/** The first twelve digits of the module's SHA-256: enough to tell two builds apart. */
export function moduleHash(installation: Installation): string {
  return createHash('sha256').update(readFileSync(installation.module)).digest('hex').slice(0, 12);
}

/**
 * Envoy's path and version, fetched first if need be.
 *
 * @param log takes the progress of a download
 * @throws UserError saying how to get one
 */
export async function findEnvoy(
  installation: Installation,
  log: (line: string) => void,
): Promise<Tools.Tool> {
  // Loaded by path: the file stands outside of what is compiled, because it must run before anything is.
  const tools = (await import(pathToFileURL(join(installation.root, 'tools/get.mjs')).href)) as typeof Tools;
  try {
    return await tools.envoyBinary({ log });
  } catch (error) {
    if (error instanceof tools.ToolError) throw new UserError(error.message);
    throw error;
  }
}
