import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';

import { BRIDGE_NODE_OPTIONS } from '../../cli/src/bridge-child.js';
import type { Base } from './base.js';
import { HOME, USER } from './base.js';
import { layerOf } from './layer.js';
import type { Entry } from './layer.js';
import { IMAGE_CONFIG, LAYER, json } from './layout.js';
import type { Image } from './layout.js';
import { labelsOf } from './source.js';
import type { Source } from './source.js';

/** Where the package is, as npm would install it: its own dependencies are beside its files. */
const HOME_OF_PACKAGE = 'opt/layotto';

/**
 * The bridge as an image: what the npm package holds, and under it the packages that it needs, on a base. They are
 * layers of their own, so that a new version of the bridge fetches only the last one.
 */
export async function bridgeImage(root: string, base: Base, source: Source): Promise<Image> {
  const labels = labelsOf(source, 'layotto/bridge', 'Layotto on Envoy: the bridge and the layotto command');
  const command = `#!${base.node}\nimport('/${HOME_OF_PACKAGE}/cli/bin/layotto.js');\n`;
  const own = await Promise.all([
    layerOf(under(`${HOME_OF_PACKAGE}/node_modules`, join(root, 'node_modules'), dependencyFiles(root))),
    layerOf([
      ...under(HOME_OF_PACKAGE, root, packedFiles(root)),
      { path: 'usr/local/bin/layotto', content: Buffer.from(command), executable: true },
    ]),
  ]);
  const config = json(IMAGE_CONFIG, {
    created: source.created,
    ...base.platform,
    config: {
      User: `${USER}:${USER}`,
      Env: [...base.env, 'NODE_ENV=production'],
      Entrypoint: [base.node, ...BRIDGE_NODE_OPTIONS, `/${HOME_OF_PACKAGE}/cli/bin/layotto.js`],
      Cmd: ['bridge'],
      WorkingDir: HOME,
      Labels: labels,
    },
    rootfs: { type: 'layers', diff_ids: [...base.diffIds, ...own.map(({ diffId }) => diffId)] },
    history: [
      ...base.history,
      ...['packages', 'layotto'].map((comment) => ({
        created: source.created,
        created_by: 'make oci',
        comment,
      })),
    ],
  });
  const annotations = {
    ...labels,
    ...(base.digest !== undefined && { 'org.opencontainers.image.base.digest': base.digest }),
  };
  const layers = [...base.layers, ...own.map(({ blob }) => ({ mediaType: LAYER, bytes: blob }))];
  return { config, layers, annotations, platform: base.platform };
}

/** Native modules of the bridge's packages, without those for another C library. */
export function nativeModules(root: string): string[] {
  return dependencyFiles(root)
    .filter((file) => file.endsWith('.node') && !file.includes('.musl.'))
    .map((file) => join(root, 'node_modules', file));
}

/** The files of the npm package, relative to the project. */
function packedFiles(root: string): string[] {
  const list = execFileSync('npm', ['pack', '--dry-run', '--json', '--ignore-scripts'], {
    cwd: root,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const [about] = Object.values(JSON.parse(list) as Record<string, { files: { path: string }[] }>);
  if (about === undefined) throw new Error('npm pack lists no package');
  return about.files.map(({ path }) => path);
}

/** Files of the packages that are installed for production, relative to node_modules: what the lock file says. */
function dependencyFiles(root: string): string[] {
  const lock = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as {
    packages: Record<string, { dev?: boolean; link?: boolean }>;
  };
  return Object.entries(lock.packages)
    .filter(([path, { dev, link }]) => path.startsWith('node_modules/') && dev !== true && link !== true)
    .map(([path]) => path.slice('node_modules/'.length))
    .filter((name) => existsSync(join(root, 'node_modules', name)))
    .flatMap((name) => filesUnder(join(root, 'node_modules'), name));
}

/** A package's own files: packages inside it are packages of their own. */
function filesUnder(root: string, folder: string): string[] {
  return readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = `${folder}/${entry.name}`;
    if (entry.isDirectory()) return entry.name === 'node_modules' ? [] : filesUnder(root, path);
    return entry.isFile() ? [path] : [];
  });
}

function under(folder: string, root: string, files: readonly string[]): Entry[] {
  return files.map((file) => {
    const path = join(root, file);
    const executable = (statSync(path).mode & 0o100) !== 0;
    return { path: `${folder}/${file}`, content: readFileSync(path), executable };
  });
}
