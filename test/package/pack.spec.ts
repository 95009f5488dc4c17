import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Child } from '../support/child.js';
import { freePort } from '../support/ports.js';

/** The package as a user has it: packed, installed into an empty folder, with nothing of the project around it. */

const root = fileURLToPath(new URL('../..', import.meta.url));
let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'layotto-package-'));
  const pack = ['pack', '--ignore-scripts', '--silent', '--pack-destination', folder];
  execFileSync('npm', pack, { cwd: root, stdio: 'pipe' });
  const tarball = readdirSync(folder).find((name) => name.endsWith('.tgz')) ?? '';
  writeFileSync(join(folder, 'package.json'), '{"private": true}');
  const install = ['install', '--no-audit', '--no-fund', '--loglevel=error', `./${tarball}`];
  execFileSync('npm', install, { cwd: folder, stdio: 'pipe' });
}, 180_000);

afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

/** Runs `npx layotto` in the folder, with a cache of its own and none of the project's environment. */
async function layotto(...args: string[]): Promise<{ code: number; log: string }> {
  const env = {
    XDG_CACHE_HOME: join(folder, 'cache'),
    LAYOTTO_TOOLS: '',
    ENVOY_BIN: process.env.ENVOY_BIN ?? '',
  };
  const child = new Child('npx', 'npx', ['--no-install', 'layotto', ...args], { cwd: folder, env });
  return { code: await child.exited, log: child.log };
}

it('holds what it needs, and no tests', () => {
  const installed = join(folder, 'node_modules/layotto-envoy');
  const files = readdirSync(installed, { recursive: true }).map(String);
  expect(files).toEqual(expect.arrayContaining(['dist/modules/runtime.wasm', 'README.md', 'LICENSE']));
  expect(files.filter((file) => /\.spec\.|(^|\/)test\/|\.hash$|tsbuildinfo/.test(file))).toEqual([]);
});

it('runs an app on the embedded store, and fetches Envoy only the first time', async () => {
  const app = `
    const at = process.env.DAPR_HTTP_ENDPOINT + '/v1.0/state/statestore';
    await fetch(at, { method: 'POST', body: '[{"key":"k","value":"from a package"}]' });
    console.log(await (await fetch(at + '/k')).text());
    process.exit(5);
  `;
  mkdirSync(join(folder, 'src'));
  writeFileSync(join(folder, 'src/app.mjs'), app);
  const ports = ['--port', String(await freePort()), '--metrics-port', '0'];
  const first = await layotto('run', ...ports, '--', 'node', 'src/app.mjs');
  expect(`${first.code} ${first.log}`).toContain('"from a package"');
  expect(first.code).toBe(5);
  const second = await layotto('run', ...ports, '--', 'node', 'src/app.mjs');
  expect(second.code).toBe(5);
  expect(second.log).not.toContain('fetching');
  expect(existsSync(join(folder, '.layotto/envoy.log'))).toBe(true);
}, 180_000);

it('says its version and checks a configuration', async () => {
  expect((await layotto('version')).log).toContain('layotto 0.');
  writeFileSync(join(folder, 'layotto.yaml'), 'listen: {port: high}\n');
  const { code, log } = await layotto('check', '-c', 'layotto.yaml');
  expect(code).toBe(1);
  expect(log).toContain('layotto.yaml:1: listen.port: ');
});
