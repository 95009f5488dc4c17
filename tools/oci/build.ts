import { mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';

import { baseFromLayout } from './base-layout.js';
import { ownBase } from './base.js';
import { bridgeImage, nativeModules } from './bridge-image.js';
import { digestOf } from './layer.js';
import { writeLayout } from './layout.js';
import type { Image } from './layout.js';
import { artifact, containerImage } from './module-images.js';
import { readSource } from './source.js';

/** What was made, as `checksums.json` says it. */
export interface Checksums {
  version: string;
  revision: string;
  /** SHA-256 of the modules' files, in hex: what `https://` addresses are checked by. */
  modules: Record<string, string>;
  /** By layout folder: the image's name and its manifest's digest, which `oci://` addresses are checked by. */
  images: Record<string, { name: string; digest: string }>;
}

export interface BuildOptions {
  /** The project, built. */
  root: string;
  /** Where the layouts go: a folder each, and `checksums.json`. */
  output: string;
  env: NodeJS.ProcessEnv;
  /** A layout to put the bridge on instead of the base that is made here. */
  base?: string | undefined;
  /** Whether the bridge's image is made too; it takes longest. */
  bridge?: boolean;
  log: (line: string) => void;
}

/** Makes the layouts of every module, as image and as artifact, and of the bridge. */
export async function buildImages(options: BuildOptions): Promise<Checksums> {
  const { root, output, env, log } = options;
  const source = readSource(root, env);
  const made: Checksums = { version: source.version, revision: source.revision, modules: {}, images: {} };
  mkdirSync(output, { recursive: true });
  const write = (folder: string, name: string, image: Image): void => {
    const digest = writeLayout(join(output, folder), image, source.version);
    made.images[folder] = { name: `${name}:${source.version}`, digest };
    const bytes = image.layers.reduce((sum, layer) => sum + layer.bytes.length, 0);
    log(`${folder.padEnd(24)} ${digest} ${(bytes / 1e6).toFixed(2)} MB`);
  };
  for (const file of readdirSync(join(root, 'dist/modules')).sort()) {
    if (!file.endsWith('.wasm')) continue;
    const module = { name: basename(file, '.wasm'), wasm: readFileSync(join(root, 'dist/modules', file)) };
    made.modules[file] = digestOf(module.wasm).slice('sha256:'.length);
    write(module.name, `layotto/${module.name}`, await containerImage(module, source));
    write(`${module.name}-artifact`, `layotto/${module.name}-artifact`, artifact(module, source));
  }
  if (options.bridge !== false) {
    const own = { architecture: process.arch === 'x64' ? 'amd64' : process.arch, os: 'linux' };
    const base =
      options.base === undefined ? await ownBase(nativeModules(root), log) : await baseFromLayout(options.base, own);
    write('bridge', 'layotto/bridge', await bridgeImage(root, base, source));
  }
  writeFileSync(join(output, 'checksums.json'), `${JSON.stringify(made, undefined, 2)}\n`);
  return made;
}

/** Removes layouts of modules that are gone. */
export function clean(output: string): void {
  rmSync(output, { recursive: true, force: true });
}
