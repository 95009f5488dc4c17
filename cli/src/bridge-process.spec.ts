import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import type { RuntimeConfig } from '../../components-bridge/src/config/types.js';
import type { BridgeMessage } from './bridge-child.js';
import { BridgeProcess } from './bridge-process.js';

let dir: string;
let bridge: BridgeProcess | undefined;
let messages: BridgeMessage[];
let restarts: [string, number][];

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'layotto-bridge-'));
  messages = [];
  restarts = [];
});

afterEach(async () => {
  await bridge?.stop(1_000);
  rmSync(dir, { recursive: true, force: true });
});

/** Runs a program in the bridge's place. */
function start(program: string): BridgeProcess {
  const file = join(dir, 'program.mjs');
  writeFileSync(file, program);
  bridge = new BridgeProcess({
    program: file,
    configFile: join(dir, 'config.json'),
    logFile: join(dir, 'bridge.log'),
    onMessage: (message) => messages.push(message),
    onRestart: (how, pauseMs) => restarts.push([how, pauseMs]),
  });
  return bridge;
}

async function until(condition: () => boolean): Promise<void> {
  const end = Date.now() + 10_000;
  while (!condition()) {
    if (Date.now() > end) throw new Error('did not happen');
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

const STAYS = `process.send({ type: 'ready' }); console.log('run with', process.argv[2]); setInterval(() => 0, 1000);`;

it('hands the program its configuration, and on what it tells', async () => {
  start(STAYS);
  await until(() => messages.length > 0);
  expect(messages).toEqual([{ type: 'ready' }]);
  await until(() => readFileSync(join(dir, 'bridge.log'), 'utf8').includes(join(dir, 'config.json')));
});

it('starts it again when it dies, with growing pauses, and keeps its log', async () => {
  start(`process.send({ type: 'ready' }, () => { console.log('one run'); process.exit(3); });`);
  await until(() => restarts.length === 3);
  expect(restarts).toEqual([
    ['exit code 3', 100],
    ['exit code 3', 200],
    ['exit code 3', 400],
  ]);
  expect(readFileSync(join(dir, 'bridge.log'), 'utf8')).toBe('one run\none run\none run\n');
});

it('starts it again when it is killed', async () => {
  const running = start(STAYS);
  await until(() => messages.length === 1);
  process.kill(running.pid ?? 0, 'SIGKILL');
  await until(() => messages.length === 2);
  expect(restarts).toEqual([['signal SIGKILL', 100]]);
});

it('gives up on one that never was ready, and shows the end of its log', async () => {
  const running = start(`console.error('no such store'); process.exit(1);`);
  await expect(running.failed).rejects.toThrow(/the bridge ended \(exit code 1\).*\n {2}no such store/);
  expect(restarts).toEqual([]);
});

it('does not start it again once it was asked to end, and kills one that will not', async () => {
  const running = start(`process.on('SIGTERM', () => 0); ${STAYS}`);
  await until(() => messages.length === 1);
  await running.stop(200);
  expect(running.pid).toBeUndefined();
  expect(restarts).toEqual([]);
});

/** Tells what it was asked to apply, and who it is. */
const APPLIES = `
  process.on('message', ({ type, id, config }) =>
    process.send({ type: 'applied', id, applied: [{ name: config.source, outcome: String(process.pid) }] }));
  ${STAYS}
`;

const asked = { source: 'x' } as RuntimeConfig;
const options = { removeOthers: false, waitMs: 0 };

it('hands on what is to be applied, and the answer', async () => {
  const running = start(APPLIES);
  await until(() => messages.length === 1);
  const applied = await running.apply(asked, options);
  expect(applied).toEqual([{ name: 'x', outcome: String(running.pid) }]);
  expect(messages).toHaveLength(1);
});

it('has no answer from one that ends before it gave one', async () => {
  const running = start(`process.on('message', () => process.exit(0)); ${STAYS}`);
  await until(() => messages.length === 1);
  expect(await running.apply(asked, options)).toBeUndefined();
  expect(await running.apply(asked, options)).toBeUndefined();
});

it('replaces it by one that takes over, and makes the old one go if it does not by itself', async () => {
  const running = start(`
    if (process.argv[3] !== '--takeover') process.on('SIGTERM', () => 0);
    else process.send({ type: 'health', component: 'early', ready: true });
    ${APPLIES}
  `);
  await until(() => messages.length === 1);
  const old = running.pid ?? 0;
  await running.replace(300);
  expect(running.pid).not.toBe(old);
  expect(messages.slice(1)).toEqual([{ type: 'health', component: 'early', ready: true }]);
  expect(await running.apply(asked, options)).toMatchObject([{ outcome: String(running.pid) }]);
  await until(() => !alive(old));
  expect(restarts).toEqual([]);
});

it('keeps the old one when the new one does not come up, and says why', async () => {
  const running = start(`
    if (process.argv[3] === '--takeover') { console.error('no such store'); process.exit(1); }
    ${APPLIES}
  `);
  await until(() => messages.length === 1);
  const old = running.pid;
  await expect(running.replace(300)).rejects.toThrow(
    /the new bridge ended \(exit code 1\); the old one goes on serving; .*\n {2}.*\n {2}no such store/s,
  );
  expect(running.pid).toBe(old);
});

it('starts one again that died while another was to take over and did not', async () => {
  const running = start(`
    if (process.argv[3] === '--takeover') setTimeout(() => process.exit(1), 300);
    else { ${STAYS} }
  `);
  await until(() => messages.length === 1);
  const old = running.pid ?? 0;
  const replaced = running.replace(300);
  process.kill(old, 'SIGKILL');
  await expect(replaced).rejects.toThrow('the new bridge ended');
  await until(() => messages.length === 2);
  expect(running.pid).not.toBe(old);
});

function alive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
