import { mkdir, mkdtemp, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

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

/** A secret as the kubelet mounts it: links to `..data`, which is turned to a new folder at each change. */
async function kubelet(): Promise<SecretBackend> {
  const path = await folder();
  const content = new Map([
    ['one', 'first'],
    ['tls.crt', '-----BEGIN…'],
  ]);
  let version = 0;
  const publish = async (): Promise<void> => {
    const before = `..2026_${version}`;
    const now = `..2026_${++version}`;
    await mkdir(join(path, now));
    for (const [name, value] of content) {
      await writeFile(join(path, now, name), value);
      await symlink(`..data/${name}`, join(path, name)).catch(() => undefined);
    }
    await symlink(now, join(path, '..data_tmp'));
    await rename(join(path, '..data_tmp'), join(path, '..data'));
    await rm(join(path, before), { recursive: true, force: true });
  };
  await publish();
  return {
    component: { type: 'secretstores.mounted', metadata: { path } },
    secrets: { one: { one: 'first' }, 'tls.crt': { 'tls.crt': '-----BEGIN…' } },
    async set(name, value) {
      content.set(name, value);
      await publish();
    },
    async remove(name) {
      content.delete(name);
      await publish();
      await rm(join(path, name));
    },
    stop: () => rm(path, { recursive: true, force: true }),
  };
}

secretConformance('a file', () => file(false));
secretConformance('a file, several entries each', () => file(true));
secretConformance('the environment', environment);
secretConformance('a folder', plainFolder);
secretConformance('a folder that the kubelet mounts', kubelet);
