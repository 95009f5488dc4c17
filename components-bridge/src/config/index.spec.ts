import { chmod, mkdir } from 'node:fs/promises';
import { join } from 'node:path';

import { configFolder } from '../../../test/support/config-files.js';
import type { ConfigFolder } from '../../../test/support/config-files.js';
import { configHash, formatProblem, metadataValue } from './index.js';
import type { RuntimeConfig } from './index.js';

let folder: ConfigFolder;
beforeEach(async () => (folder = await configFolder()));
afterEach(() => folder.remove());

describe('loadConfig', () => {
  it('is the embedded default when nothing is given, even beside a layotto.yaml', async () => {
    await folder.write({ 'layotto.yaml': 'app: {id: other}' });
    expect(await folder.config()).toEqual({
      source: 'embedded default',
      app: { id: 'app', port: 0, protocol: 'http' },
      listen: { host: '127.0.0.1', port: 34904, hosts: [] },
      dataDir: join(folder.path, '.layotto'),
      limits: {
        messageBytes: 4194304,
        operations: 1024,
        streams: 100,
        bytes: 67108864,
        cacheBytes: 8388608,
        deadlineMs: 15000,
      },
      envoy: { concurrency: 2, metricsPort: 34903 },
      modules: { slots: 2 },
      outbound: [],
      lifecycle: { apply: true },
      components: [
        {
          name: 'statestore',
          type: 'state.embedded',
          version: 'v1',
          primitive: 'state',
          form: 'native',
          metadata: {},
          origin: { file: 'embedded default', line: 0 },
        },
      ],
    });
  });

  it('lets options win over the file', async () => {
    await folder.write({ 'a.yaml': 'app: {id: x, port: 1}\nlisten: {port: 2}\ndataDir: elsewhere\n' });
    const config = await folder.config({ file: 'a.yaml', appId: 'y', appPort: 0, port: 4, dataDir: 'data' });
    expect(config).toMatchObject({
      app: { id: 'y', port: 0 },
      listen: { port: 4 },
      dataDir: join(folder.path, 'data'),
    });
  });

  it('checks options like anything else', async () => {
    const long = 'd'.repeat(120);
    expect(await folder.problems({ appId: '', appPort: 1.5, port: 0, dataDir: long })).toEqual([
      expect.stringMatching(/^:0 --app-id: expected 1 to 128 visible ASCII characters.*, found ""$/),
      expect.stringMatching(/^:0 --app-port: expected the app's port.*, found 1\.5$/),
      ':0 --port: expected a port from 1 to 65535, found 0',
      expect.stringMatching(/^:0 --data-dir: expected a socket path of at most 107 bytes/),
    ]);
    expect(await folder.problems({ appPort: 34904 })).toEqual([
      ":0 --app-port: expected the app's own port, found 34904, which the runtime listens on",
    ]);
  });

  it('reports the problems of file and folder together', async () => {
    await folder.write({ 'a.yaml': 'app: 3', 'components/x.yaml': 'kind: 3' });
    const problems = await folder.problems({ file: 'a.yaml', resourcesPath: 'components' });
    expect(problems.map((problem) => problem.split(' ')[0])).toEqual(['a.yaml:1', 'components/x.yaml:1']);
  });

  it('says why a file cannot be read', async () => {
    await mkdir(join(folder.path, 'dir'));
    await folder.write({ 'bytes.yaml': Uint8Array.of(0x61, 0xff), 'big.yaml': '#'.repeat(1024 * 1024 + 1) });
    const why = async (file: string): Promise<string[]> => folder.problems({ file });
    expect(await why('none.yaml')).toEqual(['none.yaml:0 : no such file or folder; check the path']);
    expect(await why('dir')).toEqual([
      expect.stringContaining('found a folder; give a folder of Dapr components'),
    ]);
    expect(await why('bytes.yaml')).toEqual(['bytes.yaml:0 : expected UTF-8 text, found other bytes']);
    expect(await why('big.yaml')).toEqual(['big.yaml:0 : expected at most 1048576 bytes, found 1048577']);
    expect(await why('a\0b')).toEqual([expect.stringContaining('cannot be read')]);
    expect(await folder.problems({ resourcesPath: 'none' })).toEqual([
      'none:0 : no such file or folder; check the path',
    ]);
    if (process.getuid?.() !== 0) {
      await folder.write({ 'locked.yaml': '' });
      await chmod(join(folder.path, 'locked.yaml'), 0);
      expect(await why('locked.yaml')).toEqual(['locked.yaml:0 : not readable: permission denied']);
    }
  });

  it('survives files made to hurt', async () => {
    const bomb = ['a: &a [x,x,x,x,x,x,x,x,x]'];
    for (let level = 1; level < 9; level++) {
      const before = `*${String.fromCharCode(96 + level)}`;
      const name = String.fromCharCode(97 + level);
      bomb.push(`${name}: &${name} [${Array(9).fill(before).join(',')}]`);
    }
    const files: Record<string, string> = {
      'bomb.yaml': bomb.join('\n'),
      'loop.yaml': 'a: &a {b: *a}',
      'deep.yaml': 'a: '.concat('['.repeat(100_000)),
      'deep.json': `${'{"a":'.repeat(5000)}1${'}'.repeat(5000)}`,
      'dashes.yaml': `${'- '.repeat(20_000)}x`,
      'wide.yaml': `components: [${'{},'.repeat(200_000)}]`,
    };
    await folder.write(files);
    for (const file of Object.keys(files)) {
      const problems = await folder.problems({ file });
      expect(problems.length).toBeGreaterThan(0);
      // The parser recurses, so it must never see these.
      if (/^(deep|dashes)/.test(file)) expect(JSON.stringify(problems)).toContain('nested deeper than 500');
    }
  });

  it('never throws for a damaged file of any form', async () => {
    const forms: Record<string, string> = {
      'native.yaml': `app: {id: shop, port: 1}\nlisten: {hosts: [a]}\nlimits: {message: 4MiB}\ncomponents:\n  - {name: a, type: state.redis, metadata: {redisHost: {env: X}}}\n`,
      'layotto.json': `{"servers":[{"listeners":[{"address":"1.2.3.4:5","filter_chains":[{"filters":[{"config":{"grpc_config":{"app":{"app_id":"x"},"state":{"s":{"type":"redis","metadata":{"redisHost":"x"}}}}}}]}]}]}],"metrics":{"sinks":[{"type":"prometheus","config":{"port":1}}]}}`,
      'components/dapr.yaml': `apiVersion: dapr.io/v1alpha1\nkind: Component\nmetadata: {name: a}\nspec:\n  type: state.redis\n  metadata:\n  - {name: redisHost, value: "{uuid}"}\n  - {name: x, envRef: Y}\nscopes: [app]\n`,
    };
    const seed = Date.now() % 1_000_000;
    let state = seed;
    const random = (below: number): number => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      return Math.floor((state / 2 ** 32) * below);
    };
    const pieces = [
      ...'{}[]:,-"\'\n &*!|>#%@`~?',
      'null',
      '0',
      '1e999',
      '- ',
      '\t',
      '__proto__: ',
      'é',
      '\u0000',
      '<<: ',
    ];
    for (let round = 0; round < 600; round++) {
      const names = Object.keys(forms);
      const name = names[round % names.length] ?? '';
      let text = forms[name] ?? '';
      for (let edits = 1 + random(4); edits > 0; edits--) {
        const at = random(text.length);
        const piece = random(2) === 0 ? '' : (pieces[random(pieces.length)] ?? '');
        text = text.slice(0, at) + piece + text.slice(at + random(6));
      }
      await folder.write({ [name]: text });
      const options = name.startsWith('components') ? { resourcesPath: 'components' } : { file: name };
      try {
        const result = await folder.load(options);
        if ('problems' in result) expect(result.problems).not.toHaveLength(0);
      } catch (error) {
        throw new Error(`seed ${seed}, ${name} threw for ${JSON.stringify(text)}`, { cause: error });
      }
    }
  });
});

describe('configHash', () => {
  let config: RuntimeConfig;
  beforeEach(async () => (config = await folder.config()));

  it('is short, and the same for the same configuration', async () => {
    expect(configHash(config)).toMatch(/^[0-9a-f]{16}$/);
    expect(configHash({ ...(await folder.config()), dataDir: '/elsewhere', source: 'other' })).toBe(
      configHash(config),
    );
    const { id, port, protocol } = config.app;
    expect(configHash({ ...config, app: { protocol, port, id } })).toBe(configHash(config));
  });

  it('changes with what filter and bridge must agree on, and shows nothing of metadata', () => {
    const [component] = config.components;
    if (component === undefined) throw new Error('no component');
    const variants: RuntimeConfig[] = [
      { ...config, app: { ...config.app, id: 'b' } },
      { ...config, limits: { ...config.limits, operations: 1 } },
      { ...config, listen: { ...config.listen, hosts: ['x'] } },
      { ...config, components: [] },
      { ...config, components: [{ ...component, name: 'b' }] },
    ];
    const hashes = [config, ...variants].map(configHash);
    expect(new Set(hashes).size).toBe(hashes.length);
    const secret = { ...config, components: [{ ...component, metadata: { redisPassword: 'x' } }] };
    expect(configHash(secret)).toBe(configHash(config));
  });
});

it('formats a problem with what it has', () => {
  expect(formatProblem({ file: 'a.yaml', line: 3, key: 'app.id', message: 'expected x' })).toBe(
    'a.yaml:3: app.id: expected x',
  );
  expect(formatProblem({ file: 'a.yaml', line: 0, key: '', message: 'no such file' })).toBe(
    'a.yaml: no such file',
  );
  expect(formatProblem({ file: '', line: 0, key: '--port', message: 'expected x' })).toBe(
    '--port: expected x',
  );
});

it('finds metadata whatever the case', () => {
  const metadata = { redisHost: 'a', REDISHOST: 'b' };
  expect(metadataValue(metadata, 'REDISHOST')).toBe('b');
  expect(metadataValue(metadata, 'redishost')).toBe('a');
  expect(metadataValue(metadata, 'toString')).toBeUndefined();
});
