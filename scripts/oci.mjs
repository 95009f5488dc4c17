/**
 * Builds OCI image layouts into dist/oci or another folder, without Docker:
 * `node --import ./scripts/lib/typescript.mjs scripts/oci.mjs [FOLDER]`. BASE=FOLDER names a layout that the bridge's image is put on; SOURCE_DATE_EPOCH, SOURCE_REVISION and SOURCE_URL say
 * what the labels cannot find out. See docs/images.md.
 */
import { join, resolve } from 'node:path';

import { buildImages } from '../tools/oci/build.js';
import { root } from './lib/tree.mjs';

const output = process.argv[2] === undefined ? join(root, 'dist/oci') : resolve(process.argv[2]);
try {
  await buildImages({
    root,
    output,
    env: process.env,
    base: process.env.BASE || undefined,
    log: console.log,
  });
} catch (error) {
  console.error(error.message);
  process.exit(1);
}
