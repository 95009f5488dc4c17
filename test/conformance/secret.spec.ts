import { mkdir, mkdtemp, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';

import { EnvironmentSecretStore } from '../../components-bridge/src/components/localenv/secret.js';
import { open as openFile } from '../../components-bridge/src/components/localfile/secret.js';
import {
  MountedSecretStore,
  open as openMounted,
} from '../../components-bridge/src/components/mounted/secret.js';

import { MountedSecrets } from '../support/mounted-secrets.js';
import { sleep } from '../support/wait.js';
import { secretConformance } from './secret.js';
import type { SecretBackend, SecretsByName } from './secret.js';

const folder = (): Promise<string> => mkdtemp(join(tmpdir(), 'secrets-'));

/** A JSON file, written as editors do: beside it, then renamed. */
async function file(multiValued: boolean): Promise<SecretBackend> {
  const dir = await folder();
  const secretsFile = join(dir, 'secrets.json');
  const content: Record<string, unknown> = {
    one: 'first',
    redis: { password: 'pass word', port: 6379, hosts: ['a', 'b'], tls: { on: true } },
  };
  const write = async (): Promise<void> => {
    await writeFile(`${secretsFile}.new`, JSON.stringify(content));
    await rename(`${secretsFile}.new`, secretsFile);
  };
  await write();
  const flat = {
    'redis:password': 'pass word',
    'redis:port': '6379',
    'redis:hosts:0': 'a',
    'redis:hosts:1': 'b',
    'redis:tls:on': 'true',
  };
  const alone = Object.fromEntries(Object.entries(flat).map(([key, value]) => [key, { [key]: value }]));
  const entries = Object.fromEntries(
    Object.entries(flat).map(([key, value]) => [key.replace('redis:', ''), value]),
  );
  const secrets: SecretsByName = { one: { one: 'first' }, ...(multiValued ? { redis: entries } : alone) };
  return {
    component: {
      type: 'secretstores.local.file',
      metadata: { secretsFile, multiValued: String(multiValued) },
    },
    secrets,
    async set(name, value) {
      content[name] = value;
      await write();
    },
    async remove(name) {
      delete content[name];
      await write();
    },
    stop: () => rm(dir, { recursive: true, force: true }),
  };
}

async function environment(): Promise<SecretBackend> {
  const prefix = `SECRETS_${process.pid}_`;
  const names = new Set<string>();
  const set = async (name: string, value: string): Promise<void> => {
    names.add(name);
    process.env[`${prefix}${name}`] = value;
  };
  const remove = async (name: string): Promise<void> => {
    delete process.env[`${prefix}${name}`];
  };
  await set('one', 'first');
  await set('empty', '');
  return {
    component: { type: 'secretstores.local.env', metadata: { prefix } },
    secrets: { one: { one: 'first' }, empty: { empty: '' } },
    set,
    remove,
    stop: async () => {
      for (const name of names) await remove(name);
    },
  };
}

/** Files and folders as somebody made them by hand. */
async function plainFolder(): Promise<SecretBackend> {
  const path = await folder();
  await mkdir(join(path, 'redis'));
  await writeFile(join(path, 'redis', 'user'), 'shop');
  await writeFile(join(path, 'redis', 'password'), 'pass word\n');
  await writeFile(join(path, 'one'), 'first');
  await writeFile(join(path, '.hidden'), 'but there');
  return {
    component: { type: 'secretstores.mounted', metadata: { path } },
    secrets: {
      one: { one: 'first' },
      redis: { user: 'shop', password: 'pass word\n' },
      '.hidden': { '.hidden': 'but there' },
    },
    set: (name, value) => writeFile(join(path, name), value),
    remove: (name) => rm(join(path, name)),
    stop: () => rm(path, { recursive: true, force: true }),
  };
}

async function kubelet(): Promise<SecretBackend> {
  const mounted = await MountedSecrets.create({ one: 'first', 'tls.crt': '-----BEGIN…' });
  return {
    component: { type: 'secretstores.mounted', metadata: { path: mounted.path } },
    secrets: { one: { one: 'first' }, 'tls.crt': { 'tls.crt': '-----BEGIN…' } },
    set: (name, value) => mounted.set(name, value),
    remove: (name) => mounted.remove(name),
    stop: () => mounted.stop(),
  };
}

secretConformance({ backend: 'localfile', setup: 'one entry each' }, () => file(false));
secretConformance({ backend: 'localfile', setup: 'several entries each' }, () => file(true));
secretConformance({ backend: 'localenv', setup: 'variables' }, environment);
secretConformance({ backend: 'mounted', setup: 'plain folder' }, plainFolder);
secretConformance({ backend: 'mounted', setup: 'as the kubelet mounts it' }, kubelet);

describe('secretstores.mounted', () => {
  it('never mixes two versions of a secret', async () => {
    const mounted = await MountedSecrets.create({ user: '0', password: '0' });
    // The folder is one secret among others, as where several are mounted next to each other.
    const parent = await folder();
    await symlink(mounted.path, join(parent, 'redis'));
    const store = new MountedSecretStore(parent, pino({ enabled: false }));
    let changing = true;
    const changes = (async () => {
      for (let version = 1; version <= 50; version++) {
        await mounted.setAll({ user: String(version), password: String(version) });
        await sleep(5);
      }
      changing = false;
    })();
    const seen = new Set<string>();
    while (changing) {
      const entries = await store.get('redis');
      expect(entries?.get('user')).toBe(entries?.get('password'));
      seen.add(entries?.get('user') ?? 'nothing');
    }
    await changes;
    expect(seen.size).toBeGreaterThan(1);
    expect(seen).not.toContain('nothing');
    await mounted.stop();
    await rm(parent, { recursive: true });
  });

  it('leaves out what is no text, or too much, and says so once', async () => {
    const path = await folder();
    const lines: string[] = [];
    const log = pino({}, { write: (line: string) => void lines.push(line) });
    await mkdir(join(path, 'tls'));
    await writeFile(join(path, 'tls', 'key.bin'), Buffer.from([0xff, 0xfe]));
    await writeFile(join(path, 'tls', 'large'), Buffer.alloc(1024 * 1024 + 1, 0x61));
    await writeFile(join(path, 'tls', 'crt'), 'text');
    await writeFile(join(path, 'alone.bin'), Buffer.from([0xff]));
    const store = new MountedSecretStore(path, log);
    for (let time = 0; time < 2; time++) expect(await store.get('tls')).toEqual(new Map([['crt', 'text']]));
    expect(lines.map((line) => (JSON.parse(line) as { entry: string }).entry).sort()).toEqual([
      'tls/key.bin',
      'tls/large',
    ]);
    await expect(store.get('alone.bin')).rejects.toThrow('it is not UTF-8 text');
    await rm(path, { recursive: true });
  });

  it('is not opened without its folder', async () => {
    const metadata = { path: '/nonexistent/secrets' };
    await expect(openMounted({ metadata, log: pino({ enabled: false }) })).rejects.toThrow(
      'there is no folder /nonexistent/secrets',
    );
  });
});

describe('secretstores.local.file', () => {
  it.each([
    ['{"a": "hush-hush",\n"b": oops}', /it is not valid JSON/],
    ['"hush-hush"', /expected a JSON object$/],
    ['{"a": "hush-hush"', /it is not valid JSON/],
    ['{"a:b": "hush-hush", "a": {"b": "hush-hush"}}', /two of its values are called "a:b"$/],
    [Buffer.from([0x7b, 0xff]), /expected UTF-8 text$/],
  ])('says what is wrong with a file, and nothing of what is in it: %p', async (content, message) => {
    const path = await folder();
    const secretsFile = join(path, 's.json');
    await writeFile(secretsFile, content);
    const failure = await openFile({ metadata: { secretsFile } }).then(
      () => 'nothing is wrong',
      (error: Error) => error.message,
    );
    expect(failure).toMatch(message);
    expect(failure).not.toContain('hush');
    await rm(path, { recursive: true });
  });

  it('answers nothing while its file cannot be read', async () => {
    const path = await folder();
    const secretsFile = join(path, 's.json');
    await writeFile(secretsFile, '{"a": "1"}');
    const store = await openFile({ metadata: { secretsFile, nestedSeparator: '.' } });
    await rm(secretsFile);
    await expect(store.get('a')).rejects.toThrow(/s\.json cannot be read: .*ENOENT/);
    await writeFile(secretsFile, '{"a": {"b": "2"}}');
    expect(await store.get('a.b')).toEqual(new Map([['a.b', '2']]));
    await rm(path, { recursive: true });
  });
});

describe('secretstores.local.env', () => {
  it("does not give Dapr's own variables, whatever their case", async () => {
    const env = { DAPR_API_TOKEN: 't', dapr_x: 't', APP_API_TOKEN: 't', APP_API_TOKEN_2: 'v', HOME: '/' };
    const store = new EnvironmentSecretStore('', env);
    expect(await store.names()).toEqual(['APP_API_TOKEN_2', 'HOME']);
    for (const name of ['DAPR_API_TOKEN', 'dapr_x', 'APP_API_TOKEN']) {
      expect(await store.get(name)).toBeUndefined();
    }
    expect(await new EnvironmentSecretStore('DAPR_API', env).get('_TOKEN')).toBeUndefined();
  });
});
