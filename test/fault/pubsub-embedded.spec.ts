import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { BrokerClient } from '../conformance/pubsub-client.js';
import { eventually, sleep } from '../support/wait.js';

const program = fileURLToPath(new URL('pubsub-child.mjs', import.meta.url));

/** What a child has said so far. */
interface Said {
  readonly child: ChildProcess;
  /** The lines that begin so, without that. */
  lines(letter: string): string[];
}

describe('the embedded broker, its process killed with SIGKILL while it publishes and delivers', () => {
  let dataDir: string;
  let children: ChildProcess[] = [];

  beforeEach(async () => {
    dataDir = await mkdtemp(join(tmpdir(), 'killed-'));
  });

  afterEach(async () => {
    for (const child of children) child.kill('SIGKILL');
    children = [];
    await rm(dataDir, { recursive: true, force: true });
  });

  function start(round: number): Said {
    const child = spawn(process.execPath, [program, dataDir, String(round)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    children.push(child);
    let output = '';
    child.stdout?.on('data', (chunk: Buffer) => (output += chunk.toString()));
    const lines = (letter: string): string[] =>
      output
        .split('\n')
        .slice(0, -1)
        .filter((line) => line.startsWith(`${letter} `))
        .map((line) => line.slice(2));
    return { child, lines };
  }

  async function kill({ child }: Said): Promise<void> {
    const closed = new Promise((resolve) => child.once('close', resolve));
    child.kill('SIGKILL');
    await closed;
  }

  /** What is left, taken until nothing is. */
  async function rest(): Promise<{ texts: string[]; attempts: number[] }> {
    const path = join(dataDir, 'pubsub', 'events');
    const client = await BrokerClient.open('pubsub.embedded', { path, redeliverInterval: '50ms' });
    try {
      const taker = await client.subscribe('orders', { concurrency: 50 });
      await eventually('nothing is left', async () => (await taker.subscription.lag?.()) === 0, {
        timeoutMs: 30_000,
      });
      return { texts: taker.texts, attempts: taker.messages.map(({ attempt }) => attempt) };
    } finally {
      await client.close();
    }
  }

  it('delivers every event that was acknowledged, and few of them twice', async () => {
    const rounds: Said[] = [];
    for (const [round, afterMs] of [5, 60, 150, 300].entries()) {
      const said = start(round);
      await eventually('it publishes', () => said.lines('p').length > 20, { timeoutMs: 20_000 });
      await sleep(afterMs);
      await kill(said);
      rounds.push(said);
    }
    const published = rounds.flatMap((said) => said.lines('p'));
    const done = rounds.flatMap((said) => said.lines('a'));
    const { texts } = await rest();
    const come = [...done, ...texts];
    const has = new Set(come);
    expect(published.filter((name) => !has.has(name))).toEqual([]);
    expect(published.length).toBeGreaterThan(200);
    const twice = come.length - has.size;
    console.log(`${published.length} events, ${twice} came twice`);
    // Of each kill: those that were done with and not yet on disk.
    expect(twice).toBeLessThan(4 * 200);
  }, 90_000);

  it('counts deliveries on', async () => {
    const said = start(0);
    await eventually('it delivers', () => said.lines('d').length > 200, { timeoutMs: 20_000 });
    await kill(said);
    const given = new Map<string, number>();
    for (const line of said.lines('d')) {
      const [name = '', attempt] = line.split(' ');
      given.set(name, Number(attempt));
    }
    const { texts, attempts } = await rest();
    const retried = texts.filter(
      (name, index) => given.has(name) && attempts[index] === (given.get(name) ?? 0) + 1,
    );
    expect(retried.length).toBeGreaterThan(0);
    for (const [index, name] of texts.entries()) {
      // One that was given out in the last moment is not on record.
      expect([given.get(name) ?? 0, (given.get(name) ?? 0) + 1]).toContain(
        given.has(name) ? attempts[index] : (attempts[index] ?? 0) - 1,
      );
    }
  }, 60_000);

  it('has another bridge deliver when the one that did was killed', async () => {
    const said = start(0);
    await eventually('it delivers', () => said.lines('d').length > 20, { timeoutMs: 20_000 });
    const path = join(dataDir, 'pubsub', 'events');
    const client = await BrokerClient.open('pubsub.embedded', { path });
    try {
      const taker = await client.subscribe('orders', { concurrency: 5 });
      const before = said.lines('d').length;
      await eventually('the first one still delivers', () => said.lines('d').length > before + 20);
      expect(taker.messages).toEqual([]);
      await kill(said);
      const published = said.lines('p');
      await eventually('every event has come', () => {
        const has = new Set([...said.lines('a'), ...taker.texts]);
        return published.every((name) => has.has(name));
      });
    } finally {
      await client.close();
    }
  }, 60_000);
});
