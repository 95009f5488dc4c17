import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';

import { freePortWithMetrics } from '../support/ports.js';
import { ClonedSession } from './clone.js';
import { blocksOf, read, stepsOf } from './markdown.js';
import { difference } from './session.js';
import type { DocumentSession } from './session.js';

const blocks = blocksOf(read('docs/new-primitive.md'));

const steps = stepsOf(blocks);

describe('docs/new-primitive.md, word for word in a fresh clone', () => {
  let cloned: ClonedSession;
  let folder: string;
  let before: string[];
  let session: DocumentSession;

  beforeAll(async () => {
    cloned = ClonedSession.open(await freePortWithMetrics());
    ({ folder, session } = cloned);
    before = readdirSync(folder).sort();
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
    async (_, { kind, name, block, expected }) => {
      if (kind === 'keep') return session.write(name, block);
      if (kind === 'begin') return session.start(block, expected ?? '');
      if (kind === 'says') return session.says(block);
      const output = await session.run(block);
      if (expected !== undefined) expect(difference(output, expected)).toBeUndefined();
    },
    240_000,
  );

  test('what is left are the files that the reader was told to write', () => {
    rmSync(join(folder, 'visit-counter'), { recursive: true });
    const left = readdirSync(folder).filter((name) => !before.includes(name));
    expect(left.sort()).toEqual(['.layotto', 'layotto.yaml']);
  });
});
