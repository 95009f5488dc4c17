import { execFileSync } from 'node:child_process';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { jest } from '@jest/globals';

import { moduleList, modulePush, moduleRemove, moduleRollback } from '../../cli/src/module-commands.js';
import type { SlotView } from '../../cli/src/module-slots.js';
import { Running } from '../../cli/src/running.js';
import { statusOf } from '../../cli/src/status.js';
import { askSocket } from '../../cli/src/socket-http.js';
import type { Child } from '../support/child.js';
import { LAYOTTO } from '../support/doors.js';
import { RawClient } from '../support/grpc-raw.js';
import { CommandLab } from '../support/layotto.js';
import { getStateBody, saveStateBody, valueOf } from '../support/requests.js';
import { tinyModule } from '../support/tiny-module.js';
import { eventually } from '../support/wait.js';

const root = fileURLToPath(new URL('../..', import.meta.url));
const wasm = readFileSync(join(root, 'dist/modules/runtime.wasm'));
const CHANGES = 20;

/** The module with a custom section more: another file that does the same. */
function build(number: number): Buffer {
  const body = Buffer.from(`\x05build${number}`);
  return Buffer.concat([wasm, Buffer.from([0, body.length]), body]);
}

let lab: CommandLab;
let run: Child;
let said: string[];

beforeAll(async () => {
  lab = await CommandLab.open();
  await start();
}, 60_000);
afterAll(() => lab?.close());
beforeEach(() => {
  said = [];
  jest.spyOn(console, 'log').mockImplementation((line: string) => void said.push(line));
});
afterEach(() => jest.restoreAllMocks());

async function start(): Promise<void> {
  run = lab.run();
  await lab.ready(run);
}

function file(name: string, content: Uint8Array): string {
  const path = join(lab.folder, name);
  writeFileSync(path, content);
  return path;
}

const push = (path: string, options: Record<string, string> = {}): Promise<number> =>
  modulePush({ 'data-dir': lab.dataDir, ...options }, [path]);
const rollback = (...slot: string[]): Promise<number> => moduleRollback({ 'data-dir': lab.dataDir }, slot);

async function slots(): Promise<SlotView[]> {
  said = [];
  await moduleList({ 'data-dir': lab.dataDir, json: true });
  return JSON.parse(said.join('\n')) as SlotView[];
}

async function http(path: string, init: RequestInit = {}): Promise<{ status: number; text: string }> {
  const answer = await fetch(`http://127.0.0.1:${lab.port}${path}`, init);
  return { status: answer.status, text: await answer.text() };
}

async function listenersModified(): Promise<string | undefined> {
  const answer = await askSocket(join(lab.dataDir, 'envoy-admin.sock'), '/stats?filter=listener_modified');
  return answer?.body.trim();
}

test(`${CHANGES} pushes and rollbacks under load fail and change no answer`, async () => {
  const grpc = await RawClient.connect({ port: lab.port });
  let done = false;
  let calls = 0;
  const wrong: string[] = [];
  const expectSame = (what: string, found: unknown, wanted: unknown): void => {
    calls++;
    if (found !== wanted && wrong.length < 10) wrong.push(`${what}: ${String(found)}, not ${String(wanted)}`);
  };
  const worker = async (id: number): Promise<void> => {
    for (let n = 0; !done; n++) {
      const [key, value] = [`key-${id}`, `value-${n}`];
      if (id % 2 === 0) {
        const saved = await grpc.send({ path: `${LAYOTTO}/SaveState`, body: [saveStateBody(key, value)] });
        expectSame('SaveState', `${saved.grpcStatus}${saved.grpcMessage}`, '0');
        const read = await grpc.send({ path: `${LAYOTTO}/GetState`, body: [getStateBody(key)] });
        expectSame('GetState', `${read.grpcStatus} ${valueOf(read.messages[0])}`, `0 ${value}`);
      } else {
        const body = JSON.stringify([{ key, value }]);
        const saved = await http('/v1.0/state/statestore', { method: 'POST', body });
        expectSame('POST', `${saved.status}${saved.text}`, '204');
        const read = await http(`/v1.0/state/statestore/${key}`);
        expectSame('GET', `${read.status} ${read.text}`, `200 "${value}"`);
      }
    }
  };
  const workers = Array.from({ length: 16 }, (_, id) => worker(id));
  try {
    for (let change = 0; change < CHANGES; change++) {
      if (change % 3 === 2) expect(await rollback()).toBe(0);
      else expect(await push(file('next.wasm', build(change)))).toBe(0);
    }
  } finally {
    done = true;
    await Promise.all(workers);
    grpc.close();
  }
  expect(wrong).toEqual([]);
  expect(calls).toBeGreaterThan(1_000);
  expect(said).toHaveLength(CHANGES);
  expect(await listenersModified()).toBe('listener_manager.listener_modified: 0');
}, 120_000);

test('what was pushed serves after a restart, and what was rolled back does not', async () => {
  await push(file('kept.wasm', build(100)));
  await push(file('gone.wasm', build(101)));
  await rollback();
  const before = (await slots())[0]?.history.map(({ sha256 }) => sha256) ?? [];
  run.signal('SIGTERM');
  await run.exited;
  await start();
  expect((await slots())[0]?.history.map(({ sha256 }) => sha256)).toEqual(before);
  expect(before.length).toBeLessThanOrEqual(10);
  const dump = await askSocket(join(lab.dataDir, 'envoy-admin.sock'), '/config_dump?resource=ecds_filters');
  expect(dump?.body).toContain(`${before.at(-1)}.wasm`);
  expect((await http('/v1.0/healthz')).status).toBe(204);
}, 60_000);

describe('a module that is refused', () => {
  const imports = (name: string): Uint8Array => {
    const text = (value: string): number[] => [value.length, ...Buffer.from(value)];
    const imported = [1, ...text('env'), ...text(name), 0, 0];
    const head = [0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, 1, 4, 1, 0x60, 0, 0, 2, imported.length];
    return Uint8Array.from([...head, ...imported]);
  };
  const withNeeds = (change: (section: string) => string): Uint8Array => {
    const at = wasm.indexOf('layotto.module') + 'layotto.module'.length;
    const section = wasm.subarray(at).toString('utf8');
    const changed = change(section);
    if (changed.length !== section.length) throw new Error('the section must keep its length');
    return Buffer.concat([wasm.subarray(0, at), Buffer.from(changed)]);
  };

  test.each<[string, Uint8Array, RegExp]>([
    ['no WebAssembly', Buffer.from('text'), /does not begin with \\0asm/],
    ['no ABI', Uint8Array.from([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0]), /does not export proxy_abi_version_0_2_1/],
    [
      'a host function of nobody',
      imports('proxy_teleport'),
      /imports env.proxy_teleport, which Envoy does not have/,
    ],
    ['no runtime', tinyModule(), /no section layotto.module.*push it into another slot with --name/],
    [
      'a service that the bridge lacks',
      withNeeds((text) => text.replace('"layotto.bridge.v1.State"', '"layotto.bridge.v1.Stats"')),
      /needs layotto.bridge.v1.Stats, which the bridge \(0\.1\.0\) does not have; start a bridge that has it/,
    ],
    [
      'another protocol',
      withNeeds((text) => text.replace('"protocol":1', '"protocol":7')),
      /speaks protocol 7, the bridge \(0\.1\.0\) 1/,
    ],
  ])('for %s: nothing changes', async (_what, content, reason) => {
    const before = await slots();
    await expect(push(file('bad.wasm', content))).rejects.toThrow(reason);
    expect(await slots()).toEqual(before);
    expect((await http('/v1.0/healthz')).status).toBe(204);
  });

  test('and one for a slot that is not there', async () => {
    await expect(push(file('tiny.wasm', tinyModule()), { name: 'slot-9' })).rejects.toThrow(
      /there is no slot slot-9; there are runtime, slot-1, slot-2/,
    );
    await expect(moduleRemove({ 'data-dir': lab.dataDir }, ['slot-1'])).rejects.toThrow(
      /no module was pushed/,
    );
  });
});

describe('a module in a spare slot', () => {
  let trapping: string;

  beforeAll(() => {
    trapping = join(lab.folder, 'trapping.wasm');
    const asc = join(root, 'node_modules/assemblyscript/bin/asc.js');
    const args = ['-O1', '--runtime', 'minimal', '--use', 'abort=assembly/host/log/abort'];
    execFileSync(
      process.execPath,
      [asc, 'test/fault/assembly/trapping-filter.ts', '--outFile', trapping, ...args],
      { cwd: root, stdio: ['ignore', 'pipe', 'inherit'] },
    );
  }, 120_000);
  afterAll(() => rmSync(trapping, { force: true }));

  test('that Envoy refuses is not served, and the reason is said', async () => {
    await push(file('tiny.wasm', tinyModule()), { name: 'slot-1' });
    const config = lab.file('config', 'x');
    await expect(push(trapping, { name: 'slot-1', config })).rejects.toThrow(
      /what served before goes on serving: Envoy refused it; .*envoy\.log says:\n.*wasm/is,
    );
    expect((await slots())[1]?.history).toHaveLength(1);
    expect((await http('/v1.0/healthz')).status).toBe(204);
    await moduleRemove({ 'data-dir': lab.dataDir }, ['slot-1']);
  });

  test('and one of another primitive passes on what it does not serve', async () => {
    await push(join(root, 'dist/modules/hello.wasm'), { name: 'slot-2' });
    const saved = await http('/v1.0/state/statestore', { method: 'POST', body: '[{"key":"k","value":"v"}]' });
    expect(saved).toEqual({ status: 204, text: '' });
    const hello = await http('/v1.0-layotto/hello/SayHello', {
      method: 'POST',
      body: '{"serviceName":"helloworld","name":"you"}',
    });
    expect(hello.status).toBe(200);
    await moduleRemove({ 'data-dir': lab.dataDir }, ['slot-2']);
    expect(await listenersModified()).toBe('listener_manager.listener_modified: 0');
  });

  test('that traps is started again, counted, and rolled back if its push says so', async () => {
    await push(trapping, { name: 'slot-1', 'rollback-on-trap': '2 in 60s' });
    expect((await http('/v1.0/healthz')).status).toBe(204);
    await eventually(
      'it was rolled back',
      async () => {
        await http('/v1.0/healthz', { headers: { 'x-test-trap': '1' } }).catch(() => undefined);
        return (await slots())[1]?.history.length === 0;
      },
      { timeoutMs: 30_000 },
    );
    const [, slot] = await slots();
    expect(slot?.traps).toBeGreaterThanOrEqual(2);
    const { traps } = await statusOf(Running.find({ 'data-dir': lab.dataDir }));
    expect(traps).toBeGreaterThanOrEqual(2);
    expect(slot?.note).toMatch(/was rolled back: it trapped \d+ times within 60 s/);
    expect(run.log).toMatch(/slot-1: its module trapped and was started again/);
    expect((await http('/v1.0/healthz', { headers: { 'x-test-trap': '1' } })).status).toBe(204);
  }, 60_000);
});
