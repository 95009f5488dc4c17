/** What the module adds to an Envoy with two workers: `node test/bench/module-memory.mjs`, after a build. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { chooseGenerator } from './measure.mjs';
import { measureModule } from './memory.mjs';
import { startRedis } from './processes.mjs';

const dir = mkdtempSync(join(tmpdir(), 'module-memory-'));
const redis = await startRedis(dir);
try {
  const found = await measureModule({ dir, redisPort: redis.port, generator: chooseGenerator() });
  say('without the module', (when, kind) => found.without[when][kind]);
  say('with the module', (when, kind) => found.with[when][kind]);
  say('difference', (when, kind) => found.with[when][kind] - found.without[when][kind]);
} finally {
  await redis.stop();
  rmSync(dir, { recursive: true, force: true });
}

function say(what, of) {
  const texts = Object.entries({ idle: 'idle', busy: 'after traffic' }).map(([when, text]) => {
    const [resident, own] = ['resident', 'own'].map((kind) => of(when, kind).toFixed(1));
    return `${text} ${resident} MiB resident, ${own} its own`;
  });
  console.log(`${what}: ${texts.join('; ')}`);
}
