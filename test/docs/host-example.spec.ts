import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { HostEmulator } from '../../cli/src/emulator/emulator.js';
import { blocksOf, read, root } from './markdown.js';

/** The filter that assembly/host/README.md shows, built as it says, in a folder of its own with the package installed. */
describe('the example of assembly/host/README.md', () => {
  let dir: string;
  let wasm: Uint8Array;

  beforeAll(() => {
    const blocks = blocksOf(read('assembly/host/README.md'));
    const source = blocks.find(({ mark }) => mark === 'filter');
    const command = blocks.find(({ text }) => text.startsWith('npx asc '));
    if (source === undefined || command === undefined) throw new Error('the example is not there');
    dir = mkdtempSync(join(tmpdir(), 'layotto-host-'));
    mkdirSync(join(dir, 'assembly'));
    const installed = join(dir, 'node_modules');
    cpSync(join(root, 'assembly/host'), join(installed, 'layotto-proxy-wasm'), { recursive: true });
    for (const needed of ['@assemblyscript', '@solo-io', 'as-wasi', 'assemblyscript'])
      symlinkSync(join(root, 'node_modules', needed), join(installed, needed));
    writeFileSync(join(dir, 'assembly/filter.ts'), source.text);
    const [, , ...args] = command.text.trim().split(' ');
    const asc = join(root, 'node_modules/assemblyscript/bin/asc.js');
    execFileSync(process.execPath, [asc, ...args], { cwd: dir, stdio: ['ignore', 'pipe', 'inherit'] });
    wasm = readFileSync(join(dir, 'filter.wasm'));
  }, 60_000);

  afterAll(() => rmSync(dir, { recursive: true, force: true }));

  test('refuses a request that does not name its team, and lets on one that does', async () => {
    const host = await HostEmulator.load(wasm);
    const { root: context, ok } = host.start('');
    expect(ok).toBe(true);
    expect(host.logs).toContainEqual({ level: 'info', message: 'team filter configured' });

    const refused = host.openStream(context).request({ ':method': 'GET', ':path': '/' });
    expect(refused.answer).toMatchObject({ status: 403 });
    expect(refused.answer?.body.toString()).toBe('name your team in x-team\n');
    expect(refused.answer?.headers.get('x-served-by')).toBe('team-filter');

    const named = host.openStream(context).request({ ':method': 'GET', ':path': '/', 'x-team': 'blue' });
    expect(named.forwarded).toBe(true);
    expect(named.answer).toBeUndefined();
  });
});
