/**
 * What an idle bridge with one Redis store takes, however it is started, beside a Node that does nothing: in turns,
 * so that what else happens on the machine meets all of them. `node test/bench/bridge-memory.mjs [ROUNDS]`
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { bridgeStart } from '../../dist/cli/src/bridge-child.js';
import { catalog } from '../../dist/components-bridge/src/catalog.js';
import { loadConfig } from '../../dist/components-bridge/src/config/index.js';
import { accepts, start } from './child.mjs';
import { memoryMiB } from './measure.mjs';
import { startRedis } from './processes.mjs';

const SETTLE_MS = 3_000;

const rounds = Number(process.argv[2] ?? 5);
const dir = mkdtempSync(join(tmpdir(), 'bridge-memory-'));
const redis = await startRedis(dir);
const file = join(dir, 'layotto.yaml');
const metadata = { redisHost: `127.0.0.1:${redis.port}` };
const native = { app: { id: 'idle' }, components: [{ name: 'store', type: 'state.redis', metadata }] };
writeFileSync(file, JSON.stringify(native));
const { config } = await loadConfig({ file, catalog, env: {} });
const resolved = join(dir, 'config.json');
writeFileSync(resolved, JSON.stringify(config));

const dist = fileURLToPath(new URL('../../dist', import.meta.url));
const program = `${dist}/bridge/main.js`;
const { execArgv, env } = bridgeStart();
/** Each with its arguments and environment. */
const ways = {
  'bare Node': [['-e', 'setInterval(() => undefined, 60_000)']],
  'bridge, not bundled': [[`${dist}/components-bridge/src/main.js`, resolved]],
  'bridge by itself': [[program, resolved]],
  'bridge by itself, with files to read': [[program, '--config', file]],
  'bridge of layotto run': [[...execArgv, program, resolved], env],
};

const found = Object.fromEntries(Object.keys(ways).map((way) => [way, []]));
for (let round = 0; round < rounds; round++) {
  for (const [way, [args, environment]] of Object.entries(ways)) {
    const data = join(dir, 'data');
    mkdirSync(data);
    const isBridge = way.startsWith('bridge');
    const child = start(
      way,
      process.execPath,
      isBridge ? [...args, '--data-dir', data] : args,
      'SIGKILL',
      environment,
    );
    if (isBridge) await accepts({ path: join(data, 'session.sock') });
    await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
    found[way].push(memoryMiB(child.pid));
    await child.stop();
    rmSync(data, { recursive: true });
  }
}
await redis.stop();
rmSync(dir, { recursive: true });

console.log(`MiB, median (least to most) of ${rounds} runs`);
for (const [way, runs] of Object.entries(found)) {
  const texts = ['rss', 'pss', 'uss'].map((key) => {
    const sorted = runs.map((run) => run[key]).sort((a, b) => a - b);
    const [least, median, most] = [0, rounds >> 1, rounds - 1].map((index) => sorted[index].toFixed(1));
    return `${key.toUpperCase()} ${median} (${least}-${most})`;
  });
  console.log(`${way.padEnd(38)} ${texts.join('  ')}`);
}
