import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';

import { extract } from 'tar-stream';

import type { Base } from './base.js';
import { digestOf } from './layer.js';
import { INDEX, LAYER, LAYER_PLAIN, MANIFEST, blobFile } from './layout.js';
import type { Descriptor, Platform } from './layout.js';

interface Manifest {
  config: Descriptor;
  layers: Descriptor[];
}

interface ImageConfig extends Platform {
  config?: { Env?: string[] };
  rootfs: { diff_ids: string[] };
  history?: object[];
}

/**
 * A base out of an OCI image layout, such as `skopeo copy docker://… oci:FOLDER` or `crane pull --format=oci` leave.
 *
 * @param folder the layout
 * @param platform the image's, if the layout has several
 * @throws Error naming what is wrong with it, or that it has no Node
 */
export async function baseFromLayout(folder: string, platform: Platform): Promise<Base> {
  const fail = (why: string): never => {
    throw new Error(`BASE=${folder}: ${why}`);
  };
  if (!existsSync(join(folder, 'oci-layout'))) fail('this is no OCI image layout; it has no file oci-layout');
  const read = ({ digest }: Descriptor): Buffer => {
    const file = blobFile(folder, digest);
    if (!/^sha256:[0-9a-f]{64}$/.test(digest) || !existsSync(file))
      return fail(`the blob ${digest} is not there`);
    const bytes = readFileSync(file);
    return digestOf(bytes) === digest ? bytes : fail(`the blob ${digest} has other contents`);
  };
  const parse = <T>(descriptor: Descriptor): T => JSON.parse(read(descriptor).toString()) as T;

  let { manifests } = JSON.parse(readFileSync(join(folder, 'index.json'), 'utf8')) as {
    manifests: Descriptor[];
  };
  const [only] = manifests;
  if (manifests.length === 1 && only?.mediaType === INDEX) {
    ({ manifests } = parse<{ manifests: Descriptor[] }>(only));
  }
  const wanted = `${platform.os}/${platform.architecture}`;
  const chosen =
    manifests.length === 1
      ? (manifests[0] as Descriptor)
      : (manifests.find((one) => nameOf(one.platform) === wanted) ?? fail(`it has no image for ${wanted}`));
  if (chosen.mediaType !== MANIFEST) fail(`its manifest is ${chosen.mediaType}, not ${MANIFEST}`);
  const manifest = parse<Manifest>(chosen);
  const foreign = manifest.layers.find(({ mediaType }) => mediaType !== LAYER && mediaType !== LAYER_PLAIN);
  if (foreign !== undefined) fail(`a layer is ${foreign.mediaType}; it may be ${LAYER} or ${LAYER_PLAIN}`);
  const config = parse<ImageConfig>(manifest.config);
  if (nameOf(config) !== wanted) fail(`it is for ${nameOf(config)}; the bridge's packages are for ${wanted}`);

  const layers = manifest.layers.map((layer) => ({ mediaType: layer.mediaType, bytes: read(layer) }));
  const programs = (await Promise.all(layers.map(nodesIn))).flat();
  return {
    platform: { architecture: config.architecture, os: config.os },
    layers,
    diffIds: config.rootfs.diff_ids,
    env: config.config?.Env ?? [],
    history: config.history ?? [],
    node: programs.at(-1) ?? fail('none of its layers has a program bin/node'),
    digest: chosen.digest,
  };
}

function nameOf(platform: Platform | undefined): string {
  return platform === undefined ? 'any' : `${platform.os}/${platform.architecture}`;
}

/** Programs called node in a layer, as absolute paths. */
async function nodesIn({ mediaType, bytes }: { mediaType: string; bytes: Buffer }): Promise<string[]> {
  const found: string[] = [];
  const archive = extract();
  archive.on('entry', ({ name, type }, stream, next) => {
    if (/(^|\/)bin\/node$/.test(name) && type !== 'directory')
      found.push(`/${name.replace(/^(\.?\/)+/, '')}`);
    stream.on('end', next);
    stream.resume();
  });
  const source = Readable.from([bytes]);
  if (mediaType === LAYER) await pipeline(source, createGunzip(), archive);
  else await pipeline(source, archive);
  return found;
}
