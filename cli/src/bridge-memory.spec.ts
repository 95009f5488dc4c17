import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { configuration } from '../../test/support/bridge-config.js';
import { startStore } from '../../test/support/store-servers.js';
import type { StoreServer } from '../../test/support/store-servers.js';
import { eventually } from '../../test/support/wait.js';
import { BridgeProcess } from './bridge-process.js';
import { findInstallation } from './installation.js';

/** MiB; measured: 59.2 to 60.1 with Node 20.20, of which 39.5 are what a Node takes that does nothing. */
const BELOW = 66;

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

it('an idle bridge with one Redis store takes far less than before it was one bundle, as the command starts it', async () => {
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
    const below = (mib: number): boolean => mib < BELOW;
    await eventually('what starting took has been given back, and it stays so', async () => {
      samples.push(await residentMiB(bridge.pid ?? 0));
      return samples.length >= SAMPLES && samples.slice(-SAMPLES).every(below);
    }).catch((error: unknown) => {
      throw new Error(`${String(error)}; resident at last: ${samples.at(-1)?.toFixed(1)} MiB`);
    });
    expect(Math.min(...samples.slice(-SAMPLES))).toBeGreaterThan(30);
  } finally {
    await bridge.stop(1_000);
  }
});

async function residentMiB(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  return Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1]) / 1024;
}
