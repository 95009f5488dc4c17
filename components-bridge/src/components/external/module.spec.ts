import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { create, toBinary } from '@bufbuild/protobuf';
import { pino } from 'pino';

import { readOwnPrimitive } from '../../config/own-primitive.js';
import { Call } from '../../primitives/call.js';
import type { ComponentContext } from '../../primitives/component.js';
import { Code } from '../../primitives/errors.js';
import type { ExternalComponent } from '../../primitives/external/component.js';
import { readMethods } from '../../primitives/external/methods.js';
import { open } from './module.js';

const root = fileURLToPath(new URL('../../../..', import.meta.url));
let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'layotto-module-'));
  cpSync(join(root, 'examples/new-primitive/rate-counter'), folder, { recursive: true });
  execFileSync(process.execPath, [join(root, 'cli/bin/layotto.js'), 'primitive', 'build', folder], {
    env: { ...process.env, NODE_OPTIONS: '' },
    stdio: 'pipe',
  });
}, 120_000);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

let modules = 0;

/** Opens a module of this text, each in a folder of its own: jest keeps what it loaded by its path alone. */
async function opened(text: string): Promise<ExternalComponent> {
  const half = join(folder, `half-${modules++}`);
  mkdirSync(half);
  cpSync(join(folder, 'bridge/primitive.json'), join(half, 'primitive.json'));
  writeFileSync(join(half, 'index.mjs'), text);
  const { own } = readOwnPrimitive(half, undefined);
  const context = {
    ...{ name: 'c', appId: 'app', version: 'v1', metadata: {}, dataDir: folder },
    ...{ log: pino({ level: 'silent' }), report: () => undefined, invalidate: () => undefined },
  } satisfies ComponentContext;
  return open({ own, messageBytes: 1024 }, context);
}

function increment(component: ExternalComponent): Promise<Uint8Array> {
  const { own } = readOwnPrimitive(join(folder, 'bridge'), undefined);
  const method = readMethods(own).get('Increment');
  if (method === undefined) throw new Error('no method');
  const message = create(method.input);
  const payload = toBinary(method.input, message);
  return component.perform({ method, message, payload }, new Call('m', '', performance.now()));
}

const module = (method: string): string =>
  `export const open = async ({ error }) => ({ methods: { Increment: ${method} } });`;

test('a method returns the response as an object', async () => {
  expect([...(await increment(await opened(module('async () => ({ count: 5 })'))))]).toEqual([8, 5]);
});

test.each([
  [
    'a failure that it says',
    `() => { throw error('NOT_FOUND', 'no such key'); }`,
    Code.NOT_FOUND,
    'no such key',
  ],
  ['a code that is none', `() => { throw error('NO_CODE', ''); }`, undefined, 'there is no code NO_CODE'],
  ['an error of its own', `() => { throw new Error('lost'); }`, undefined, 'lost'],
  [
    "one of Node's",
    `() => { throw Object.assign(new Error('x'), { code: 'ECONNREFUSED' }); }`,
    undefined,
    'x',
  ],
  ['no object', `() => 'text'`, Code.INTERNAL, 'its answer is no IncrementResponse'],
  ['another kind of value', `() => ({ count: 'many' })`, Code.INTERNAL, 'its answer is no IncrementResponse'],
])('%s', async (_, method, code, message) => {
  const failure = await increment(await opened(module(method))).then(
    () => undefined,
    (reason: Error & { code?: unknown }) => reason,
  );
  expect(failure?.message).toContain(message);
  if (code !== undefined) expect(failure?.code).toBe(code);
  else expect(typeof failure?.code).not.toBe('number');
});

test.each([
  ['exports nothing', '', 'exports no function "open"'],
  ['opens nothing', 'export const open = () => undefined;', 'has no methods Increment'],
  ['lacks a method', 'export const open = () => ({ methods: {} });', 'has no methods Increment'],
  ['says what is wrong', `export const open = () => { throw new Error('no database'); };`, 'no database'],
])('a module that %s is not opened', async (_, text, message) => {
  await expect(opened(text)).rejects.toThrow(message);
});

test('calls that are never answered are bounded', async () => {
  const component = await opened(module('() => new Promise(() => undefined)'));
  for (let i = 0; i < 1024; i++) void increment(component);
  await expect(increment(component)).rejects.toMatchObject({ code: Code.RESOURCE_EXHAUSTED });
});
