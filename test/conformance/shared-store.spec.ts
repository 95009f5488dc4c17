import { spawn, spawnSync } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { pino } from 'pino';

import { open } from '../../components-bridge/src/components/embedded/state.js';
import type { EmbeddedStateStore } from '../../components-bridge/src/components/embedded/state.js';
import { eventually } from '../support/wait.js';

const writer = fileURLToPath(new URL('durability-child.mjs', import.meta.url));
const module = new URL('../../dist/components-bridge/src/components/embedded/state.js', import.meta.url).href;

/** While one bridge takes over from another, both have the store open. */
describe('the embedded store, open in several processes', () => {
  let dataDir: string;
  let store: EmbeddedStateStore;
  const children: ChildProcess[] = [];

  beforeEach(async () => {
    dataDir = await mkdtemp(join(tmpdir(), 'shared-'));
    store = await openHere();
  });

  afterEach(async () => {
    for (const child of children.splice(0)) child.kill('SIGKILL');
    await store.close();
    await rm(dataDir, { recursive: true, force: true });
  });

  function openHere(): Promise<EmbeddedStateStore> {
    const log = pino({ enabled: false });
    return open({
      name: 'store',
      version: 'v1',
      appId: 'app',
      metadata: {},
      dataDir,
      log,
      report: () => undefined,
      invalidate: () => undefined,
    });
  }

  const valueOf = async (key: string): Promise<string | undefined> => {
    const found = await store.get(key);
    return found && Buffer.from(found.data).toString();
  };

  it('shows at once what another process acknowledged, also to a turn that has read before', async () => {
    await store.set({ key: 'k', value: Buffer.from('one'), firstWrite: false });
    expect(await valueOf('k')).toBe('one');
    const program = `
      const { open } = await import(${JSON.stringify(module)});
      const context = { name: 'store', metadata: {}, dataDir: ${JSON.stringify(dataDir)} };
      const store = await open({ ...context, log: { warn() {} }, report() {}, invalidate() {} });
      await store.set({ key: 'k', value: Buffer.from('two'), etag: '1', firstWrite: false });
      await store.close();
    `;
    // Nothing else of this process runs meanwhile, so what the read above saw is what lmdb still has.
    const { status, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', program]);
    expect([status, stderr.toString()]).toEqual([0, '']);
    expect(await valueOf('k')).toBe('two');
    await expect(
      store.set({ key: 'k', value: Buffer.from('x'), etag: '1', firstWrite: false }),
    ).rejects.toMatchObject({ kind: 'etag-mismatch' });
  });

  it('loses nothing acknowledged when one of two that write is killed, and the other goes on', async () => {
    const outputs = ['0', '1'].map((round) => {
      const child = spawn(process.execPath, [writer, dataDir, round], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      children.push(child);
      const written = { text: '' };
      child.stdout.on('data', (chunk: Buffer) => (written.text += chunk.toString()));
      return written;
    });
    const lines = (at: number): string[] => outputs[at]?.text.split('\n').slice(0, -1) ?? [];
    await eventually('both write', () => lines(0).length > 50 && lines(1).length > 50);
    children[0]?.kill('SIGKILL');
    const before = lines(1).length;
    await eventually('the other goes on', () => lines(1).length > before + 50);
    children[1]?.kill('SIGKILL');
    await store.set({ key: 'last', value: Buffer.from('x'), firstWrite: false });

    const acknowledged = [...lines(0), ...lines(1)];
    const missing: string[] = [];
    for (const key of acknowledged) if ((await valueOf(key)) !== key) missing.push(key);
    expect(missing).toEqual([]);
  });

  it('can be opened again beside itself, and closed, in one process', async () => {
    const second = await openHere();
    await Promise.all([
      store.set({ key: 'a', value: Buffer.from('1'), firstWrite: false }),
      second.set({ key: 'b', value: Buffer.from('2'), firstWrite: false }),
    ]);
    await store.close();
    store = second;
    expect([await valueOf('a'), await valueOf('b')]).toEqual(['1', '2']);
    await store.set({ key: 'c', value: Buffer.from('3'), firstWrite: false });
    expect(await valueOf('c')).toBe('3');
  });
});
