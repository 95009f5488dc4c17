import { execFileSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readlinkSync,
  rmSync,
  symlinkSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

import { freePortWithMetrics } from '../support/ports.js';
import { blocksOf, read, root } from './markdown.js';
import { difference, DocumentSession } from './session.js';

const blocks = blocksOf(read('docs/new-primitive.md'));

/** What the guide has its reader do; a block without a mark is only shown. */
const steps = blocks.flatMap((block, index) => {
  const [, kind, name = ''] = /^(step|begin|says|keep)(?:: (\S+))?$/.exec(block.mark) ?? [];
  const next = blocks[index + 1];
  const expected = next?.mark === 'output' ? next.text : undefined;
  return kind === undefined ? [] : [{ line: block.line, kind, name, block, expected }];
});

/**
 * Every file of the project as a clone would have it, with the packages and what was built of the same sources, so that
 * `make install` and `make build` find nothing to do.
 */
function clone(folder: string): void {
  const list = execFileSync('git', ['ls-files', '-coz', '--exclude-standard'], {
    cwd: root,
    encoding: 'utf8',
  });
  for (const file of list.split('\0').filter((name) => name !== '' && existsSync(join(root, name)))) {
    mkdirSync(dirname(join(folder, file)), { recursive: true });
    cpSync(join(root, file), join(folder, file));
  }
  cpSync(join(root, 'dist'), join(folder, 'dist'), { recursive: true });
  symlinkSync(join(root, '.tools'), join(folder, '.tools'));
  link('node_modules', folder);
}

/** Packages as they are; those that are folders of the project lead to the clone's. */
function link(path: string, folder: string): void {
  mkdirSync(join(folder, path));
  for (const name of readdirSync(join(root, path))) {
    const [from, to] = [join(root, path, name), join(folder, path, name)];
    if (lstatSync(from).isSymbolicLink()) symlinkSync(readlinkSync(from), to);
    else if (name.startsWith('@') || name === '.bin') link(join(path, name), folder);
    else symlinkSync(from, to);
  }
}

describe('docs/new-primitive.md, word for word in a fresh clone', () => {
  let folder: string;
  let before: string[];
  let session: DocumentSession;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'layotto-clone-'));
    clone(folder);
    before = readdirSync(folder).sort();
    session = new DocumentSession({
      port: await freePortWithMetrics(),
      dataDir: join(folder, '.layotto'),
      filesDir: folder,
      projectDir: folder,
    });
  }, 120_000);

  afterAll(async () => {
    await session?.close();
    rmSync(folder, { recursive: true, force: true });
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
