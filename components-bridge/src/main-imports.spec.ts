import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { Child } from '../../test/support/child.js';
import { startStore } from '../../test/support/store-servers.js';
import type { StoreServer } from '../../test/support/store-servers.js';
import { eventually } from '../../test/support/wait.js';
import { configuration } from '../../test/support/bridge-config.js';

const program = fileURLToPath(new URL('../../dist/bridge/main.js', import.meta.url));
/** The sources that each file of the program was made of. */
const partsFile = fileURLToPath(new URL('../../dist/.bridge-parts.json', import.meta.url));
const noting = new URL('../../test/support/module-log.mjs', import.meta.url).href;

/** What a bridge with these components has imported when they are ready: packages, and backends' folders. */
async function imports(components: Parameters<typeof configuration>[1]): Promise<Set<string>> {
  const dir = await mkdtemp(join(tmpdir(), 'imports-'));
  const [config, log] = [join(dir, 'config.json'), join(dir, 'modules')];
  await writeFile(config, JSON.stringify(configuration(dir, components)));
  const child = new Child('bridge', process.execPath, ['--import', noting, program, config], {
    env: { MODULE_LOG: log },
  });
  try {
    await eventually('every component is ready', () => {
      if (child.exitCode !== undefined) throw new Error(child.tail());
      return child.log.split('component is ready').length > components.length;
    });
    const urls = (await readFile(log, 'utf8')).split('\n');
    const parts = JSON.parse(await readFile(partsFile, 'utf8')) as Record<string, string[]>;
    const sources = urls.flatMap((url) => parts[`dist/${url.split('/dist/')[1]}`] ?? [url]);
    return new Set(
      sources.flatMap((url) => {
        const [, name] = /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(url) ?? [];
        const [, backend] = /\/components\/(\w+)\/(?!metadata|field)\w/.exec(url) ?? [];
        return name ?? (backend === undefined ? [] : `components/${backend}`);
      }),
    );
  } finally {
    child.signal('SIGKILL');
    await child.exited;
    await rm(dir, { recursive: true, force: true });
  }
}

describe('the bridge imports what it needs, and no other backend', () => {
  let redis: StoreServer;

  beforeAll(async () => (redis = await startStore('redis')));
  afterAll(() => redis?.stop());

  it('with Redis alone', async () => {
    const metadata = { redisHost: `127.0.0.1:${redis.port}` };
    const found = await imports([{ name: 's', type: 'state.redis', primitive: 'state', metadata }]);
    expect([...found].filter((name) => name.startsWith('components/'))).toEqual(['components/redis']);
    expect(found).toContain('ioredis');
    for (const name of ['lmdb', 'yaml', '@grpc/grpc-js']) expect(found).not.toContain(name);
  });

  it('with the embedded store alone', async () => {
    const found = await imports([{ name: 's', type: 'state.embedded', primitive: 'state', metadata: {} }]);
    expect([...found].filter((name) => name.startsWith('components/'))).toEqual(['components/embedded']);
    expect(found).toContain('lmdb');
    for (const name of ['ioredis', 'yaml', '@grpc/grpc-js']) expect(found).not.toContain(name);
  });
});

it('has what must come before all packages in its first file, and none of them', async () => {
  const parts = JSON.parse(await readFile(partsFile, 'utf8')) as Record<string, string[]>;
  const first = parts['dist/bridge/main.js'];
  expect(first).toContain('components-bridge/src/base64.ts');
  expect(first?.filter((source) => source.includes('node_modules'))).toEqual([]);
});
