import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { sleep } from '../support/wait.js';
import { StateClient } from './state-client.js';

const program = fileURLToPath(new URL('durability-child.mjs', import.meta.url));

describe('the embedded store, its process killed with SIGKILL while it writes', () => {
  let dataDir: string;

  beforeAll(async () => {
    dataDir = await mkdtemp(join(tmpdir(), 'durable-'));
  });

  afterAll(() => rm(dataDir, { recursive: true, force: true }));

  /** Runs the writer until it has acknowledged something, kills it a little later, and returns what it acknowledged. */
  async function writeAndKill(round: number, afterMs: number): Promise<string[]> {
    const child = spawn(process.execPath, [program, dataDir, String(round)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let output = '';
    const first = new Promise<void>((resolve, reject) => {
      child.stdout.on('data', (chunk: Buffer) => {
        output += chunk.toString();
        resolve();
      });
      child.once('close', () => reject(new Error('the writer ended by itself')));
    });
    await first;
    await sleep(afterMs);
    const closed = new Promise((resolve) => child.once('close', resolve));
    child.kill('SIGKILL');
    await closed;
    return output.split('\n').slice(0, -1);
  }

  it('has every acknowledged write, and of each transaction all or nothing', async () => {
    const acknowledged: string[] = [];
    for (const [round, afterMs] of [5, 40, 120, 250].entries()) {
      acknowledged.push(...(await writeAndKill(round, afterMs)));
    }
    expect(acknowledged.length).toBeGreaterThan(100);

    const state = await StateClient.open({
      type: 'state.embedded',
      dataDir,
      appId: '',
      metadata: { keyPrefix: 'none' },
    });
    try {
      const items = await state.bulk(acknowledged);
      const missing = items
        .filter(({ key, data }) => Buffer.from(data).toString() !== key)
        .map(({ key }) => key);
      expect(missing).toEqual([]);

      // The transactions after the last acknowledged one may or may not have been committed, but not in part.
      for (const writer of ['t1', 't2']) {
        for (let round = 0; round < 4; round++) {
          const count = acknowledged.filter((key) => key.startsWith(`${round}-${writer}-`)).length / 3;
          for (const next of [Math.floor(count), Math.floor(count) + 1]) {
            const parts = await state.bulk(
              ['a', 'b', 'c'].map((part) => `${round}-${writer}-${next}-${part}`),
            );
            expect(new Set(parts.map(({ etag }) => etag)).size).toBe(1);
          }
        }
      }
    } finally {
      await state.close();
    }
  });
});
