import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

import { freePort, freePortWithMetrics } from '../support/ports.js';
import { ClonedSession } from './clone.js';
import { blocksOf, read, stepsOf } from './markdown.js';
import { difference } from './session.js';
import type { DocumentSession } from './session.js';

/** Where the guide says functions are called. */
const PORT = '2045';

const blocks = blocksOf(read('docs/functions.md'));
const steps = stepsOf(blocks);

describe('docs/functions.md, word for word in a fresh clone', () => {
  let cloned: ClonedSession;
  let folder: string;
  let session: DocumentSession;
  let port: string;

  beforeAll(async () => {
    cloned = ClonedSession.open(await freePortWithMetrics());
    ({ folder, session } = cloned);
    port = String(await freePort());
  }, 120_000);

  afterAll(async () => {
    await cloned?.close();
  });

  test('every command of it is run', () => {
    const commands = blocks.filter(({ language }) => language === 'sh');
    expect(commands.length).toBeGreaterThan(5);
    for (const { mark } of commands) expect(['step', 'begin']).toContain(mark);
  });

  test.each(steps.map((step) => [step.line, step] as const))(
    'line %i',
    async (_, { kind, name, block: written, expected: said }) => {
      const expected = said?.replaceAll(PORT, port);
      const block = { ...written, text: written.text.replaceAll(PORT, port) };
      if (kind === 'keep') return session.write(name, block);
      if (kind === 'begin') return session.start(block, expected ?? '');
      const output = await session.run(block);
      if (expected !== undefined) expect(difference(output, expected)).toBeUndefined();
    },
    240_000,
  );

  test('what was written for the function is two files and what its build makes', () => {
    const files = readdirSync(join(folder, 'page-counter')).sort();
    expect(files).toEqual(['.gitignore', 'page-counter.test.mjs', 'page-counter.ts', 'page-counter.wasm']);
    expect(existsSync(join(folder, 'examples/new-function/assembly/visits.wasm'))).toBe(false);
  });
});
