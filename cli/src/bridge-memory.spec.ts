import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { configuration } from '../../test/support/bridge-config.js';
import { startStore } from '../../test/support/store-servers.js';
import type { StoreServer } from '../../test/support/store-servers.js';
import { eventually } from '../../test/support/wait.js';
import { BridgeProcess } from './bridge-process.js';
import { findInstallation } from './installation.js';

/**
 * MiB above what a Node takes that does nothing, which differs from machine to machine. Measured with Node 20.20: 14.5 to
 * 15.2 above 39.5; 60 MB in all would be 17.7 above.
 */
const ABOVE_NODE = 17;

/** For how many looks in a row, one every 20 ms, it must be below. */
const SAMPLES = 50;

let dir: string;
let redis: StoreServer;

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'bridge-memory-'));
  redis = await startStore('redis');
});

afterAll(async () => {
  await redis?.stop();
  await rm(dir, { recursive: true, force: true });
});

it('an idle bridge with one Redis store takes less than 60 MB, as the command starts it, where Node takes 40', async () => {
  const limit = (await idleNodeMiB()) + ABOVE_NODE;
  const [configFile, logFile] = [join(dir, 'config.json'), join(dir, 'bridge.log')];
  const metadata = { redisHost: `127.0.0.1:${redis.port}` };
  const config = configuration(dir, [{ name: 's', type: 'state.redis', primitive: 'state', metadata }]);
  await writeFile(configFile, JSON.stringify(config));
  const bridge = new BridgeProcess({
    program: findInstallation().bridge,
    configFile,
    logFile,
    onMessage: () => undefined,
    onRestart: (how) => {
      throw new Error(how);
    },
  });
  try {
    await eventually('its component is ready', async () =>
      (await readFile(logFile, 'utf8')).includes('component is ready'),
    );
    const samples: number[] = [];
    const below = (mib: number): boolean => mib < limit;
    await eventually('what starting took has been given back, and it stays so', async () => {
      samples.push(await residentMiB(bridge.pid ?? 0));
      return samples.length >= SAMPLES && samples.slice(-SAMPLES).every(below);
    }).catch((error: unknown) => {
      throw new Error(
        `${String(error)}; resident at last: ${samples.at(-1)?.toFixed(1)} MiB of ${limit.toFixed(1)}`,
      );
    });
    expect(Math.min(...samples.slice(-SAMPLES))).toBeGreaterThan(30);
  } finally {
    await bridge.stop(1_000);
  }
});

async function idleNodeMiB(): Promise<number> {
  const idle = spawn(process.execPath, ['-e', 'setInterval(() => undefined, 60_000)'], { stdio: 'ignore' });
  try {
    const samples: number[] = [];
    await eventually('it has started, and takes no more', async () => {
      samples.push(await residentMiB(idle.pid ?? 0));
      const last = samples.slice(-SAMPLES);
      return last.length === SAMPLES && last.every((mib) => mib === last[0]);
    });
    return samples.at(-1) ?? 0;
  } finally {
    idle.kill();
    await once(idle, 'exit');
  }
}

async function residentMiB(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  return Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1]) / 1024;
}
