import { execFileSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Child } from '../support/child.js';
import { freePort } from '../support/ports.js';
import { eventually } from '../support/wait.js';

/** The package as a user has it: packed, installed into an empty folder, with nothing of the project around it. */

const root = fileURLToPath(new URL('../..', import.meta.url));
/** In the folder. */
const BIN = 'node_modules/.bin/layotto';
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
  const child = start(...args);
  return { code: await child.exited, log: child.log };
}

function start(...args: string[]): Child {
  const env = {
    XDG_CACHE_HOME: join(folder, 'cache'),
    LAYOTTO_TOOLS: '',
    ENVOY_BIN: process.env.ENVOY_BIN ?? '',
  };
  // `npx` itself would keep a signal for itself.
  const [command, ...first] =
    args[0] === 'run' ? [process.execPath, BIN] : ['npx', '--no-install', 'layotto'];
  return new Child('layotto', command ?? '', [...first, ...args], { cwd: folder, env });
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

it("makes, builds and tests a primitive of one's own, and serves it while other calls go on", async () => {
  expect(await layotto('new', 'primitive', 'visit-counter')).toMatchObject({ code: 0 });
  const without = await layotto('primitive', 'build', 'visit-counter');
  expect(without.code).toBe(1);
  const [, said = ''] = /run "npm install --save-dev ([^"]+)"/.exec(without.log) ?? [];
  const { devDependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
    devDependencies: Record<string, string>;
  };
  const tools = said.split(' ').map((name) => `${name}@${devDependencies[name]}`);
  const install = ['install', '--save-dev', '--no-audit', '--no-fund', '--loglevel=error', ...tools];
  execFileSync('npm', install, { cwd: folder, stdio: 'pipe' });
  const tested = await layotto('primitive', 'test', 'visit-counter');
  expect(`${tested.code} ${tested.log}`).toMatch(/^0 [^]*fail 0/);

  const config = `components:
  - { name: statestore, type: state.embedded }
  - { name: visits, type: ./visit-counter/bridge }
`;
  writeFileSync(join(folder, 'own.yaml'), config);
  const port = await freePort();
  const at = `http://127.0.0.1:${port}`;
  const run = start('run', '-c', 'own.yaml', '--port', String(port), '--metrics-port', '0');
  try {
    const state = (): Promise<number | undefined> =>
      fetch(`${at}/v1.0/state/statestore/key`).then(
        ({ status }) => status,
        () => undefined,
      );
    await eventually('it serves', async () => (await state()) === 204);
    const statuses: (number | undefined)[] = [];
    let pushed = false;
    const callers = Array.from({ length: 4 }, async () => {
      while (!pushed) statuses.push(await state());
    });
    const module = 'visit-counter/filter/gen/visit-counter.wasm';
    const push = await layotto('module', 'push', module, '--name', 'slot-1');
    pushed = true;
    await Promise.all(callers);
    expect(push).toMatchObject({ code: 0 });
    expect(statuses.filter((status) => status !== 204)).toEqual([]);
    const answer = await fetch(`${at}/v1.0/visit-counter/visits/home`, { method: 'POST' });
    expect(await answer.text()).toBe('{"count":1}');
  } finally {
    run.signal('SIGTERM');
    await run.exited;
  }
}, 240_000);
