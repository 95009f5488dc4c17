import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { EnvoyProcess, filterStats } from './envoy-process.js';

let dir: string;
let admin: Server | undefined;

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'layotto-envoy-'));
});

afterEach(() => {
  admin?.close();
  rmSync(dir, { recursive: true, force: true });
});

/** Runs a shell script in Envoy's place. */
function start(script: string): EnvoyProcess {
  const binary = join(dir, 'envoy.sh');
  writeFileSync(binary, `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  return new EnvoyProcess({
    binary,
    bootstrap: { node: { id: 'test' } },
    folder: join(dir, 'files'),
    files: { 'filter.yaml': 'resources: []' },
    concurrency: 3,
    adminSocket: join(dir, 'admin.sock'),
    logFile: join(dir, 'envoy.log'),
  });
}

it('writes the files, and only them, before it starts Envoy with them', async () => {
  mkdirSync(join(dir, 'files'));
  writeFileSync(join(dir, 'files/old.wasm'), '');
  const envoy = start('echo "$@"; cat "$2"');
  expect(await envoy.ended).toBe('exit code 0');
  const log = readFileSync(join(dir, 'envoy.log'), 'utf8');
  expect(log).toContain(`-c ${join(dir, 'files/bootstrap.json')} --concurrency 3 --disable-hot-restart`);
  expect(log).toContain('"id": "test"');
  expect(readFileSync(join(dir, 'files/filter.yaml'), 'utf8')).toBe('resources: []');
  expect(existsSync(join(dir, 'files/old.wasm'))).toBe(false);
});

it('names the address when Envoy cannot listen', async () => {
  const envoy = start(
    `echo "error initializing configuration: cannot bind '127.0.0.1:80': Address already in use"; exit 1`,
  );
  const failure = envoy.failure(await envoy.ended);
  expect(failure.message).toBe(
    'Envoy cannot listen on 127.0.0.1:80: Address already in use; choose another port',
  );
});

it('shows the end of the log for any other failure', async () => {
  const envoy = start('for i in 1 2 3 4 5 6 7 8 9 10 11 12; do echo "line $i"; done; exit 2');
  const lines = envoy.failure(await envoy.ended).message.split('\n');
  expect(lines[0]).toContain('Envoy ended (exit code 2)');
  expect(lines.slice(1)).toEqual([3, 4, 5, 6, 7, 8, 9, 10, 11, 12].map((i) => `  line ${i}`));
});

it('waits until no call is in flight, and does not count its own', async () => {
  const envoy = start('exec sleep 30');
  const counts = [2, 1, 0];
  const asked: string[] = [];
  admin = createServer((request, response) => {
    asked.push(`${request.method} ${request.url}`);
    if (request.method === 'POST') return response.end('OK\n');
    const lines = [
      'http.admin.downstream_rq_active: 1',
      `http.runtime.downstream_rq_active: ${counts.shift() ?? 0}`,
    ];
    return response.end(`${lines.join('\n')}\n`);
  });
  await new Promise<void>((resolve) => admin?.listen(join(dir, 'admin.sock'), resolve));
  await envoy.drain(10_000);
  expect(asked[0]).toBe('POST /drain_listeners');
  expect(asked.slice(1)).toHaveLength(3);
  await envoy.stop(1_000);
  expect(await envoy.ended).toBe('signal SIGTERM');
  expect(envoy.running).toBe(false);
});

it.each([
  ['config_reload', undefined],
  ['update_rejected', /^Envoy refused it; .*envoy\.log says:$/],
  ['config_fail', /^Envoy refused it; .*envoy\.log says:$/],
])('hands it a file that it watches, and waits for what it makes of it: %s', async (counted, failure) => {
  const envoy = start('exec sleep 30');
  expect(await envoy.push('filter.yaml', 'resources: [1]', filterStats('a.filter'))).toBe(
    'Envoy does not answer',
  );
  expect(readFileSync(join(dir, 'files/filter.yaml'), 'utf8')).toBe('resources: []');
  let looks = 0;
  const seen: string[] = [];
  admin = createServer((_, response) => {
    seen.push(readFileSync(join(dir, 'files/filter.yaml'), 'utf8'));
    const prefix = 'extension_config_discovery.http_filter.a.filter';
    // It takes a moment, and something of the same kind may have happened before.
    const of = (name: string): string => `${prefix}.${name}: ${name === counted && ++looks > 3 ? 2 : 1}\n`;
    const other = 'extension_config_discovery.http_filter.b.config_fail: 9\n';
    response.end(other.repeat(looks) + ['config_reload', 'update_rejected', 'config_fail'].map(of).join(''));
  });
  await new Promise<void>((resolve) => admin?.listen(join(dir, 'admin.sock'), resolve));
  const outcome = await envoy.push('filter.yaml', 'resources: [1]', filterStats('a.filter'));
  if (failure === undefined) expect(outcome).toBeUndefined();
  else expect(outcome).toMatch(failure);
  expect(seen).toEqual(['resources: []', ...Array.from({ length: 3 }, () => 'resources: [1]')]);
  expect(existsSync(join(dir, 'filter.yaml.next'))).toBe(false);
  envoy.kill();
  await envoy.ended;
});

it('waits until the clusters that it was given are in use', async () => {
  const envoy = start('exec sleep 30');
  const warming = [2, 1, 0];
  const asked: string[] = [];
  admin = createServer((request, response) => {
    asked.push(request.url ?? '');
    response.end(`cluster_manager.warming_clusters: ${warming.shift() ?? 0}\n`);
  });
  await new Promise<void>((resolve) => admin?.listen(join(dir, 'admin.sock'), resolve));
  expect(await envoy.warm()).toBeUndefined();
  expect(asked).toEqual(Array.from({ length: 3 }, () => '/stats?filter=warming_clusters$'));
  envoy.kill();
  await envoy.ended;
  expect(await envoy.warm()).toMatch(/^Envoy has not found all addresses in time/);
});

it('does not wait for an Envoy whose admin interface is silent, and kills one that will not end', async () => {
  const envoy = start(`trap '' TERM; echo started; while :; do sleep 0.1; done`);
  while (!readFileSync(join(dir, 'envoy.log'), 'utf8').includes('started')) await envoy.drain(10_000);
  await envoy.stop(200);
  expect(await envoy.ended).toBe('signal SIGKILL');
});

it('says when Envoy cannot be started at all', async () => {
  rmSync(dir, { recursive: true });
  mkdirSync(dir);
  const envoy = new EnvoyProcess({
    binary: join(dir, 'none'),
    bootstrap: {},
    folder: join(dir, 'files'),
    files: {},
    concurrency: 1,
    adminSocket: join(dir, 'admin.sock'),
    logFile: join(dir, 'envoy.log'),
  });
  expect(await envoy.ended).toContain('could not be started');
});
