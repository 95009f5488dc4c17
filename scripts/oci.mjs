/**
 * Builds OCI image layouts into dist/oci, without Docker: `node --import ./scripts/lib/typescript.mjs scripts/oci.mjs`.
 * BASE=FOLDER names a layout that the bridge's image is put on; SOURCE_DATE_EPOCH, SOURCE_REVISION and SOURCE_URL say
 * what the labels cannot find out. See docs/images.md.
 */
import { join } from 'node:path';

import { buildImages, clean } from '../tools/oci/build.js';
import { root } from './lib/tree.mjs';

const output = join(root, 'dist/oci');
try {
  clean(output);
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
