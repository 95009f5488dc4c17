import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { jest } from '@jest/globals';
import type binaryenTypes from 'binaryen';

import {
  functionList,
  functionPush,
  functionRemove,
  functionRollback,
} from '../../cli/src/function-commands.js';
import type { FunctionView } from '../../cli/src/functions.js';
import { modulePush } from '../../cli/src/module-commands.js';
import { askSocket } from '../../cli/src/socket-http.js';
import { buildFunction } from '../../tools/function.mjs';
import { CommandLab } from '../support/layotto.js';
import { freePort } from '../support/ports.js';
import { eventually } from '../support/wait.js';

const root = fileURLToPath(new URL('../..', import.meta.url));
const SOURCES = {
  inventory: 'examples/function-bookstore/assembly/inventory.ts',
  stock: 'examples/function-bookstore/assembly/stock.ts',
  faulty: 'test/e2e/assembly/faulty-function.ts',
};

let lab: CommandLab;
/** Takes connections and says nothing. */
const slow = createServer();
let port: number;
let said: string[];

beforeAll(async () => {
  lab = await CommandLab.open();
  port = await freePort();
  await new Promise<void>((resolve) => slow.listen(0, '127.0.0.1', resolve));
  mkdirSync(lab.folder, { recursive: true });
  for (const [name, source] of Object.entries(SOURCES))
    writeFileSync(file(name), await buildFunction(join(root, source)));
  const config = lab.file(
    'layotto.yaml',
    `functions: { listen: ${port}, slots: 4 }
envoy: { concurrency: 2 }
callees: { slow: "127.0.0.1:${(slow.address() as AddressInfo).port}" }
policy:
  rules:
    - { name: sealed, deny: { primitives: [state], operations: [GetState], components: [sealed] } }
    - { name: nobody, deny: { primitives: [function], operations: [CallFunction], components: [closed] } }
components:
  - { name: statestore, type: state.embedded }
  - { name: sealed, type: state.embedded }
`,
  );
  await lab.ready(lab.run([], { options: ['-c', config] }));
}, 180_000);
afterAll(async () => {
  await lab?.close();
  slow.close();
});
beforeEach(() => {
  said = [];
  jest.spyOn(console, 'log').mockImplementation((line: string) => void said.push(line));
});
afterEach(() => jest.restoreAllMocks());

function file(name: string): string {
  return join(lab.folder, `${name}.wasm`);
}

const push = (name: string, id: string, options: Record<string, string> = {}): Promise<number> =>
  functionPush({ 'data-dir': lab.dataDir, id, ...options }, [file(name)]);
const remove = (id: string): Promise<number> => functionRemove({ 'data-dir': lab.dataDir }, [id]);

/** A function that does something when it is started, without the check that the build puts into loops. */
async function withStart(path: string, body: (module: binaryenTypes.Module) => number): Promise<Uint8Array> {
  const { default: binaryen } = await import('binaryen');
  const module = binaryen.readBinary(readFileSync(path));
  module.setStart(module.addFunction('added', binaryen.none, binaryen.none, [], body(module)));
  return module.emitBinary();
}

async function call(
  id: string,
  target = '/',
  init: RequestInit = {},
): Promise<{ status: number; text: string }> {
  const headers: Record<string, string> = id === '' ? {} : { id };
  const answer = await fetch(`http://127.0.0.1:${port}${target}`, {
    signal: AbortSignal.timeout(10_000),
    ...init,
    headers,
  });
  return { status: answer.status, text: await answer.text() };
}

/** Calls on a connection of its own. */
function callAnew(id: string, target: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const options = { port, path: target, headers: { id }, agent: false };
    const sent = request(options, (response) => response.resume().on('end', resolve));
    sent.on('error', reject).end();
  });
}

async function save(key: string, value: unknown): Promise<void> {
  const body = JSON.stringify([{ key, value }]);
  const answer = await fetch(`http://127.0.0.1:${lab.port}/v1.0/state/statestore`, { method: 'POST', body });
  expect(answer.status).toBe(204);
}

async function stat(pattern: string): Promise<string> {
  return (await askSocket(join(lab.dataDir, 'envoy-admin.sock'), `/stats?filter=${pattern}`))?.body ?? '';
}

test('one function asks another, which asks the state store; both are found by id, and one by path', async () => {
  await push('stock', 'id_2', { path: '/stock' });
  await push('inventory', 'id_1');
  await save('book1', 100);
  const whole = { status: 200, text: 'There are 100 inventories for book1.\n' };
  expect(await call('id_1', '/?name=book1')).toEqual(whole);
  expect(await call('', '/stock/any?name=book1')).toEqual({ status: 200, text: '100' });
  expect(await call('id_1', '/?name=book%202')).toEqual({ status: 404, text: 'there is no book 2\n' });
  const nobody = await call('id_3');
  expect(nobody.status).toBe(404);
  expect(nobody.text).toContain('no function has');
  await eventually('the calls are counted', async () => {
    const counted = await stat('layotto_operations_total;primitive=(state|function)');
    return (
      counted.includes('primitive=state;operation=GetState;component=statestore;door=function;code=OK') &&
      counted.includes('primitive=function;operation=CallFunction;component=id_2')
    );
  });
  expect(await stat('listener_manager.listener_modified')).toContain('listener_modified: 0');
});

test('a policy says what a function may call, and which function may be called', async () => {
  await push('stock', 'closed');
  expect(await call('closed', '/?name=book1')).toEqual({
    status: 403,
    text: 'app "app" may not call function CallFunction of component "closed": denied by the policy, rule "nobody"',
  });
  await remove('closed');
  expect(await call('closed')).toMatchObject({ status: 404 });
  await push('faulty', 'faulty');
  expect(await call('faulty', '/?do=sealed')).toEqual({
    status: 403,
    text: 'app "app" may not call state GetState of component "sealed": denied by the policy, rule "sealed"',
  });
  expect(await call('faulty', '/?do=nowhere')).toMatchObject({ status: 404 });
});

test('a body that is too long, and a call too many, are refused by the function they are for', async () => {
  await push('faulty', 'small', { 'max-body': '8', 'max-in-flight': '1', deadline: '1s' });
  expect(await call('small', '/', { method: 'POST', body: '12345678' })).toMatchObject({ status: 200 });
  expect(await call('small', '/', { method: 'POST', body: '123456789' })).toEqual({
    status: 413,
    text: 'function "small" takes bodies of at most 8 bytes',
  });
  // Its body does not come, so that it is under way until its deadline.
  const held = request({ port, method: 'POST', headers: { id: 'small', 'content-length': '4' } });
  const ended = new Promise<number | undefined>((resolve, reject) => {
    held.on('response', (response) => resolve(response.statusCode)).on('error', reject);
  });
  held.flushHeaders();
  await eventually('it has one call under way', async () => (await call('small')).status === 429);
  expect((await call('small')).text).toBe('function "small" has 1 calls under way already; try again later');
  expect(await ended).toBe(408);
  held.destroy();
  expect(await call('small')).toMatchObject({ status: 200 });
  await remove('small');
});

test.each(['trap', 'loop', 'deep', 'fill'])(
  'a function that ends in a %s harms no other, and serves again',
  async (how) => {
    await push('faulty', 'faulty');
    let done = false;
    const others: number[] = [];
    const good = (async () => {
      while (!done) others.push((await call('id_2', '/?name=book1')).status);
    })();
    expect((await call('faulty', `/?do=${how}`)).status).toBe(503);
    // Traps that follow each other closely make Envoy wait before it makes another machine.
    await eventually('it serves again', async () => (await call('faulty', '/?do=busy')).status === 200);
    done = true;
    await good;
    expect(others.filter((status) => status !== 200)).toEqual([]);
    await eventually('it says nothing', async () => (await call('faulty', '/?do=silent')).status === 500);
  },
  30_000,
);

test.each(['trap', 'loop', 'fill', 'later'])(
  'calls that wait for an answer end with a %s of another one',
  async (how) => {
    await push('faulty', 'faulty', { deadline: '20s' });
    await eventually('it serves', async () => (await call('faulty', '/?do=busy')).status === 200);
    const began = performance.now();
    const waiting = Array.from({ length: 6 }, () => call('faulty', '/?do=wait'));
    let ended = 0;
    for (const one of waiting) void one.then(() => ended++);
    // Each trap ends those in its own thread, and a connection is of one thread.
    await eventually('all of them have ended', async () => {
      await callAnew('faulty', `/?do=${how}`);
      return ended === waiting.length;
    });
    expect(performance.now() - began).toBeLessThan(8_000);
    expect((await Promise.all(waiting)).map(({ status }) => status)).toEqual(waiting.map(() => 503));
    await eventually('it serves again', async () => (await call('faulty', '/?do=busy')).status === 200);
  },
  30_000,
);

test('what loops at a first call is not pushed, unless it is said', async () => {
  const source = lab.file(
    'post-only.ts',
    `import { Call, Handler, serve, StateValue } from 'layotto/function';
class PostOnly extends Handler {
  onRequest(call: Call): void {
    if (call.method == 'POST') return call.answer(200, 'fine');
    call.getState('statestore', 'key');
  }
  onState(call: Call, value: StateValue): void {
    while (!value.found) {}
  }
}
serve((): Handler => new PostOnly());
`,
  );
  writeFileSync(file('post-only'), await buildFunction(source));
  await expect(push('post-only', 'post')).rejects.toThrow(
    /it traps at a first call, a GET of \/ .*: unreachable \(it said: .* ran for 100 ms .*\); add --no-try to push it/,
  );
  expect(await call('post')).toMatchObject({ status: 404 });
  // Nothing refuses the call that it is tried with, as the policy will refuse others.
  await expect(push('post-only', 'closed')).rejects.toThrow(/it traps at a first call/);
  writeFileSync(
    file('bottomless'),
    await buildFunction(
      lab.file(
        'bottomless.ts',
        `import { Call, Handler, serve } from 'layotto/function';
function sum(n: u64): u64 {
  return n == 0 ? 0 : sum(n + 1) + n;
}
class Bottomless extends Handler {
  onRequest(call: Call): void {
    call.answer(200, sum(1).toString());
  }
}
serve((): Handler => new Bottomless());
`,
      ),
    ),
  );
  await expect(push('bottomless', 'post')).rejects.toThrow(/it traps at a first call/);
  await functionPush({ 'data-dir': lab.dataDir, id: 'post', 'no-try': true }, [file('post-only')]);
  expect(await call('post', '/', { method: 'POST', body: 'x' })).toMatchObject({ status: 200 });
  await remove('post');
});

test('versions come and go under load without a call that fails', async () => {
  await push('stock', 'id_2');
  let done = false;
  const wrong: string[] = [];
  let calls = 0;
  const workers = Array.from({ length: 8 }, async () => {
    while (!done) {
      const { status, text } = await call('id_2', '/?name=book1');
      calls++;
      if (status !== 200 || !['100', 'fine'].includes(text)) wrong.push(`${status} ${text}`);
    }
  });
  for (let round = 0; round < 5; round++) {
    await push('faulty', 'id_2');
    await functionRollback({ 'data-dir': lab.dataDir }, ['id_2']);
  }
  done = true;
  await Promise.all(workers);
  expect(wrong).toEqual([]);
  expect(calls).toBeGreaterThan(100);
}, 60_000);

test('what does not end outside of its methods is not built', async () => {
  const built = buildFunction(join(root, 'test/e2e/assembly/trapping-start.ts'));
  await expect(built).rejects.toThrow(/what stands outside of its methods ends in a trap, or does not end/);
});

test('what is refused changes nothing and says why', async () => {
  const list = async (): Promise<FunctionView[]> => {
    said = [];
    await functionList({ 'data-dir': lab.dataDir, json: true });
    return JSON.parse(said.join('\n')) as FunctionView[];
  };
  const before = await list();
  await expect(push('stock', 'a b')).rejects.toThrow(/a function's id has 1 to 64 letters/);
  await expect(push('stock', 'other', { path: '/stock' })).rejects.toThrow(/is that of function id_2/);
  await expect(push('stock', 'other', { 'max-body': '1GiB' })).rejects.toThrow(/raise limits.message/);
  writeFileSync(file('endless'), await withStart(file('stock'), (m) => m.loop('again', m.br('again'))));
  await expect(push('endless', 'other')).rejects.toThrow(/its start did not end within 3 s/);
  writeFileSync(file('trapping'), await withStart(file('stock'), (m) => m.unreachable()));
  await expect(push('trapping', 'other')).rejects.toThrow(/it traps when it is started: unreachable/);
  await expect(remove('nobody')).rejects.toThrow(/there is no function nobody; there are/);
  await expect(
    functionPush({ 'data-dir': lab.dataDir, id: 'x' }, [join(root, 'dist/modules/runtime.wasm')]),
  ).rejects.toThrow(/it is no function/);
  await expect(modulePush({ 'data-dir': lab.dataDir, name: 'slot-1' }, [file('stock')])).rejects.toThrow(
    /it is a function; push it with layotto function push/,
  );
  expect(await list()).toEqual(before);
});
