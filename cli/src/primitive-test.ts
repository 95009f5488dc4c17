import { join } from 'node:path';

import { runTests } from './node-tests.js';
import type { Values } from './options.js';
import { buildPrimitive } from './primitive-build.js';

/** `layotto primitive test FOLDER`: builds it, and runs the tests in its three folders by Node's own runner. */
export async function primitiveTest(_values: Values, [folder = '']: readonly string[]): Promise<number> {
  await buildPrimitive(folder);
  return runTests(
    folder,
    ['filter', 'proto', 'bridge'].map((part) => join(folder, part)),
  );
}
