import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';

import { baseFromLayout } from './base-layout.js';
import { ownBase } from './base.js';
import type { Base } from './base.js';
import { bridgeImage, nativeModules } from './bridge-image.js';
import { digestOf } from './layer.js';
import { writeLayout } from './layout.js';
import type { Image } from './layout.js';
import { artifact, containerImage } from './module-images.js';
import { readSource } from './source.js';

const CHECKSUMS = 'checksums.json';
/** A file per image with its digest in hex, for options such as `--module-sha256 "$(cat …)"`. */
const DIGESTS = 'digests';

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
  /** Where the layouts go: a folder each, `checksums.json` and `digests/`. */
  output: string;
  env: NodeJS.ProcessEnv;
  /** A layout to put the bridge on instead of the base that is made here. */
  base?: string | undefined;
  log: (line: string) => void;
}

/** Makes the layouts of every module, as image and as artifact, and of the bridge, in place of what the folder held. */
export async function buildImages(options: BuildOptions): Promise<Checksums> {
  const { root, output, env, log } = options;
  const source = readSource(root, env);
  const made: Checksums = { version: source.version, revision: source.revision, modules: {}, images: {} };
  const base = await baseOf(options);
  removeFormer(output);
  mkdirSync(join(output, DIGESTS), { recursive: true });
  const write = (folder: string, name: string, image: Image): void => {
    const digest = writeLayout(join(output, folder), image, source.version);
    made.images[folder] = { name: `${name}:${source.version}`, digest };
    writeFileSync(join(output, DIGESTS, folder), digest.slice('sha256:'.length));
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
  write('bridge', 'layotto/bridge', await bridgeImage(root, base, source));
  writeFileSync(join(output, CHECKSUMS), `${JSON.stringify(made, undefined, 2)}\n`);
  return made;
}

/** Removes what an earlier build left. @throws Error if the folder holds something else */
function removeFormer(output: string): void {
  if (existsSync(output) && readdirSync(output).length > 0 && !existsSync(join(output, CHECKSUMS))) {
    throw new Error(`${output} holds something else than images; give another folder`);
  }
  rmSync(output, { recursive: true, force: true });
}

function baseOf({ root, base, log }: BuildOptions): Promise<Base> {
  const own = { architecture: process.arch === 'x64' ? 'amd64' : process.arch, os: 'linux' };
  return base === undefined ? ownBase(nativeModules(root), log) : baseFromLayout(base, own);
}
