import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { eventually } from '../../../test/support/wait.js';
import { HalvesWatch } from './halves-watch.js';
import type { RuntimeConfig } from './types.js';

const EVERY_MS = 5;

let folder: string;
let told: number;
let watch: HalvesWatch;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'layotto-halves-'));
  told = 0;
  watch = new HalvesWatch(() => told++, EVERY_MS);
  for (const half of ['one', 'other']) {
    mkdirSync(join(folder, half));
    write(`${half}/index.mjs`, "import './part.mjs';");
    write(`${half}/part.mjs`, '');
    write(`${half}/primitive.json`, '{}');
  }
});
afterEach(() => {
  watch.end();
  rmSync(folder, { recursive: true, force: true });
});

function write(name: string, text: string): void {
  writeFileSync(join(folder, name), text);
}

/** A configuration with these halves. */
function uses(...halves: string[]): Pick<RuntimeConfig, 'components'> {
  const components = halves.map((half) => ({ own: { folder: join(folder, half) } }));
  return { components } as unknown as RuntimeConfig;
}

/** Changes a file until that is told: the first looks only find out what there is. */
async function noticed(name: string): Promise<void> {
  const before = told;
  let text = '';
  await eventually(`a change of ${name} is told`, () => {
    // Two looks must find the same.
    if (text.length % 8 === 0) write(name, text);
    text += ' ';
    return told > before;
  });
}

test.each(['index.mjs', 'part.mjs', 'primitive.json'])('a change of %s is told', async (name) => {
  watch.use(uses('one'));
  await noticed(`one/${name}`);
});

test('what no configuration names any more is not watched', async () => {
  watch.use(uses('one', 'other'));
  await noticed('one/part.mjs');
  watch.use(uses('other'));
  await noticed('other/part.mjs');
  const before = told;
  write('one/part.mjs', 'another text');
  // Had the first one been looked at still, it would have been told by now, too.
  await noticed('other/part.mjs');
  await noticed('other/part.mjs');
  await eventually('it is quiet', async () => {
    const now = told;
    await new Promise((resolve) => setTimeout(resolve, 10 * EVERY_MS));
    return now === told;
  });
  expect(told).toBe(before + 2);
  watch.end();
  write('other/part.mjs', 'another text');
  watch.use(uses());
  expect(told).toBe(before + 2);
});
