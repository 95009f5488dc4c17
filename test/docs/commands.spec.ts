import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { freePort } from '../support/ports.js';
import { blocksOf, markdownFiles, read } from './markdown.js';
import type { Block } from './markdown.js';
import { difference, DocumentSession } from './session.js';

/**
 * What a marked block is for: `run` (to its end; `run: 1` if its exit code is 1), `start` (and let it run), `file: NAME`
 * (a file for the commands that follow), or `said` (by what runs). `needs: WHAT` is what cannot be run here.
 */
interface Step {
  kind: 'run' | 'start' | 'file' | 'said';
  /** The exit code, or the name. */
  argument: string;
  block: Block;
  /** Undefined where the document shows no output; then only the exit code counts. */
  expected: string | undefined;
}

function stepsOf(file: string): Step[] {
  const blocks = blocksOf(read(file));
  return blocks.flatMap((block, index) => {
    const [, kind, argument = ''] = /^(run|start|file|said)(?:: (\S+))?$/.exec(block.mark) ?? [];
    if (kind === undefined) return [];
    const next = blocks[index + 1];
    const expected = next?.mark === 'output' ? next.text : undefined;
    return [{ kind: kind as Step['kind'], argument, block, expected }];
  });
}

const documents = markdownFiles()
  .map((file) => ({ file, steps: stepsOf(file) }))
  .filter(({ steps }) => steps.length > 0);

/** A free port whose lower neighbour, for metrics, is free too. */
async function portPair(): Promise<number> {
  for (;;) {
    const port = await freePort();
    if (await isFree(port - 1)) return port;
  }
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}

/** Guides whose every command is run, and the blocks of each that are not, because of what they need. */
const GUIDES: Record<string, string[]> = {
  'docs/deployment.md': ['a cluster', 'a cluster'],
  'docs/images.md': ['skopeo, crane or oras, and a registry', 'skopeo and a registry'],
  'docs/without-wasm.md': [],
};
/** How a line begins that is a command. */
const COMMAND =
  /^(?:\$ )?(?:npx|node|npm|make|layotto|kubectl|helm|docker|skopeo|crane|oras|curl|sudo|mkdir|printf|cat) /m;

test.each(Object.entries(GUIDES))('%s: nothing is left out unseen', (file, expected) => {
  const blocks = blocksOf(read(file));
  const commands = blocks.filter(({ language }) => language === 'sh');
  expect(commands.length).toBeGreaterThan(0);
  for (const { line, mark } of commands) expect(`${line} ${mark}`).toMatch(/^\d+ (?:run|start|needs: .+)$/);
  const needs = commands.flatMap(({ mark }) => /^needs: (.+)$/.exec(mark)?.[1] ?? []);
  expect(needs).toEqual(expected);
  // Commands stand in blocks of commands.
  const others = blocks.filter(({ language, mark }) => language !== 'sh' && mark !== 'output');
  expect(others.filter(({ text }) => COMMAND.test(text)).map(({ line }) => line)).toEqual([]);
});

test('the README has commands to run', () => {
  expect(documents.map(({ file }) => file)).toContain('README.md');
});

describe.each(documents)('the commands of $file', ({ steps }) => {
  let dir: string;
  let session: DocumentSession;

  beforeAll(async () => {
    dir = mkdtempSync(join(tmpdir(), 'layotto-docs-'));
    session = new DocumentSession({
      port: await portPair(),
      appPort: await freePort(),
      dataDir: join(dir, 'data'),
      filesDir: join(dir, 'files'),
    });
  });

  afterAll(async () => {
    await session?.close();
    rmSync(dir, { recursive: true, force: true });
  });

  test.each(steps.map((step) => [step.block.line, step] as const))(
    'line %i',
    async (_line, { kind, argument, block, expected }) => {
      if (kind === 'file') return session.write(argument, block);
      if (kind === 'said') return session.says(block).then(() => undefined);
      if (kind === 'start') return session.start(block, expected ?? '');
      const output = await session.run(block, Number(argument));
      if (expected !== undefined) expect(difference(output, expected)).toBeUndefined();
    },
    150_000,
  );
});

describe('comparing output', () => {
  test('times, versions and widths may differ', () => {
    expect(difference('a   1.5 ms\nEnvoy 1.36.4\n', 'a 12.0 ms\nEnvoy 1.40.0\n')).toBeUndefined();
  });
  test('words may not', () => {
    expect(difference('a\nb\n', 'a\nc\n')).toContain('expected, from line 1');
  });
  test('nothing may be missing, or come on top', () => {
    expect(difference('a\n', 'a\nb\n')).toContain('expected');
    expect(difference('a\nb\n', 'a\n')).toContain('more than expected');
  });
  test('… stands for any lines', () => {
    expect(difference('a\nx\ny\nb\nz\n', 'a\n…\nb\n…\nz\n')).toBeUndefined();
    expect(difference('x\na\n', '…\na\n')).toBeUndefined();
    expect(difference('a\nx\n', 'a\n…\n')).toBeUndefined();
    expect(difference('a\nx\nb\n', 'a\n…\nc\n')).toContain('expected');
  });
});
