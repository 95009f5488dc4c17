import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import { createConfig, lintFromString } from '@redocly/openapi-core';
import { Client, credentials, status } from '@grpc/grpc-js';

import { askSocket } from '../../cli/src/socket-http.js';
import { callGrpc, callHttp } from '../../cli/src/testing.js';
import { CounterLab } from '../support/counter-lab.js';
import { grpcFrame, RawClient } from '../support/grpc-raw.js';
import type { CommandLab } from '../support/layotto.js';
import { freePort } from '../support/ports.js';
import { eventually } from '../support/wait.js';

let counters: CounterLab;
let lab: CommandLab;

beforeAll(async () => {
  counters = await CounterLab.open();
  lab = counters.lab;
}, 120_000);

afterAll(() => counters?.close());

describe('a module, loaded from its path', () => {
  test('its filter half is refused while there is no component', async () => {
    const { code, log } = await counters.push();
    expect(code).toBe(1);
    expect(log).toContain('needs rate_counter.v1.RateCounter');
    expect(log).toContain('add a component of that primitive to layotto.yaml first');
  });

  test.each([
    ['a path that leads nowhere', '{ name: counter, type: ./nowhere }', 'primitive build'],
    [
      'a window that is none',
      '{ name: counter, type: ./rate-counter/bridge, metadata: { windowSeconds: none } }',
      'windowSeconds: expected seconds',
    ],
  ])('%s is said, and nothing else changes', async (_, component, said) => {
    counters.configure([component]);
    await eventually(said, () => counters.run.log.includes(said));
    expect(await counters.stateAnswers()).toBe(true);
    counters.configure([]);
    await eventually('it is gone', async () => !('counter' in (await counters.components())));
  });

  test('comes into a runtime that serves, and is called by three doors', async () => {
    counters.configure(['{ name: counter, type: ./rate-counter/bridge }']);
    await eventually(
      'it is there',
      async () => (await counters.components())['counter'] === 'rate-counter.module',
    );
    expect(await counters.push()).toMatchObject({ code: 0 });
    expect(await counters.grpc('counter')).toMatchObject({ count: 1 });
    expect(await counters.http('counter')).toEqual({ status: 200, body: { count: 2 } });
    expect(await counters.json('counter')).toEqual({ status: 200, body: { count: 3 } });
  });

  test('is listed where the others are: status, and the description of the HTTP doors', async () => {
    const { log } = await counters.layotto('status', '--data-dir', lab.dataDir);
    expect(log).toMatch(/counter.*rate-counter\.module/);
    const { body } = await counters.call('GET', '/v1.0-layotto/openapi.json');
    const path = '/v1.0-layotto/rate-counter/Increment';
    const {
      paths,
      tags,
      components: parts,
    } = body as {
      paths: Record<string, { post: { tags: string[]; requestBody: object } }>;
      tags: { name: string }[];
      components: { schemas: Record<string, { required?: string[] }> };
    };
    expect(paths[path]?.post.tags).toEqual(['rate-counter']);
    const schema = '#/components/schemas/rate-counter.IncrementRequest';
    expect(paths[path]?.post.requestBody).toMatchObject({
      content: { 'application/json': { schema: { $ref: schema } } },
    });
    expect(parts.schemas['rate-counter.IncrementRequest']?.required).toEqual(['componentName']);
    expect(Object.keys(paths)).toContain('/v1.0-layotto/state/GetState');
    expect(tags.filter(({ name }) => name === 'rate-counter')).toHaveLength(1);
    const config = await createConfig({
      extends: ['recommended-strict'],
      rules: { 'operation-2xx-response': 'off' },
    });
    expect(
      await lintFromString({ source: JSON.stringify(body), absoluteRef: '/openapi.json', config }),
    ).toEqual([]);
  });

  test('an edit of its bridge half is taken over, and a wrong one is said and changes nothing', async () => {
    const file = 'rate-counter/bridge/index.mjs';
    const before = readFileSync(join(lab.folder, file), 'utf8');
    lab.file(file, before.replace('{ count: count', '{ count: 1000 + count'));
    await eventually('the edited one answers', async () => {
      const { body } = await counters.http('counter');
      return (body as { count: number }).count > 1000;
    });
    mkdirSync(join(lab.folder, 'rate-counter/bridge/lib'));
    lab.file('rate-counter/bridge/lib/more.mjs', `export { more } from './much.mjs';`);
    lab.file('rate-counter/bridge/lib/much.mjs', 'export const more = 5000;');
    const importing = `import { more } from './lib/more.mjs';\n${before.replace('{ count: count', '{ count: more + count')}`;
    lab.file(file, importing);
    const answers = (from: number): Promise<boolean> =>
      eventually(`it answers from ${from} on`, async () => {
        const { body } = await counters.http('counter');
        return Math.floor((body as { count: number }).count / 1000) * 1000 === from;
      });
    await answers(5000);
    lab.file('rate-counter/bridge/lib/much.mjs', 'export const more = 7000;');
    await answers(7000);
    lab.file('rate-counter/bridge/lib/old.cjs', `module.exports = require('./older');`);
    lab.file('rate-counter/bridge/lib/older.js', 'module.exports = { more: 9000 };');
    lab.file(
      file,
      importing.replace(`{ more } from './lib/more.mjs'`, `old from './lib/old.cjs';\nconst { more } = old`),
    );
    await answers(9000);
    lab.file('rate-counter/bridge/lib/older.js', 'module.exports = { more: 11000 };');
    await answers(11000);
    lab.file(file, 'this is no JavaScript');
    await eventually('it is said', () =>
      counters.run.log.includes('counter: the old settings go on serving'),
    );
    expect(await counters.http('counter')).toMatchObject({ status: 200 });
    lab.file(file, before);
    await eventually('it is as it was', async () => {
      const { body } = await counters.http('counter');
      return (body as { count: number }).count < 1000;
    });
  });

  test('what is wrong with a call is said in the manner of its door', async () => {
    const missing = 'there is no rate-counter component of this name';
    await expect(counters.grpc('other')).rejects.toMatchObject({
      code: status.INVALID_ARGUMENT,
      details: missing,
    });
    expect(await counters.http('other')).toEqual({
      status: 400,
      body: { errorCode: 'ERR_RATE_COUNTER', message: missing },
    });
    expect(await counters.json('other')).toMatchObject({
      status: 400,
      body: { errorCode: 'INVALID_ARGUMENT' },
    });
    const wrong = await counters.call('POST', '/v1.0-layotto/rate-counter/Increment', {
      componentName: 'counter',
      key: 7,
    });
    expect(wrong).toMatchObject({ status: 400, body: { errorCode: 'INVALID_ARGUMENT' } });
  });

  test('metrics name the component that is configured, and no other name that a caller made up', async () => {
    for (let i = 0; i < 20; i++) await counters.http(`made-up-${i}`);
    const text = await eventually('it is counted', async () => {
      const { body } = await callHttp(lab.metricsPort, 'GET', '/metrics');
      return String(body).includes('operation="Increment",component="unknown"') ? String(body) : undefined;
    });
    const named = [...text.matchAll(/primitive="rate-counter",operation="(\w+)",component="([^"]*)"/g)];
    expect(new Set(named.map(([, operation]) => operation))).toEqual(new Set(['Increment']));
    expect(new Set(named.map(([, , component]) => component))).toEqual(new Set(['counter', 'unknown']));
    const bridge = await counters.bridge('/metrics');
    expect(bridge).toMatch(/component="counter",type="rate-counter\.module",operation="Increment"/);
    expect(bridge).not.toContain('made-up');
  });

  test('the policy knows its operations', async () => {
    const counter = '{ name: counter, type: ./rate-counter/bridge }';
    const rule = (operation: string): string =>
      `policy:\n  rules: [{ name: no-counting, deny: { primitives: [rate-counter], operations: [${operation}] } }]\n`;
    counters.configure([counter], rule('Decrement'));
    await eventually('a slip is said', () =>
      counters.run.log.includes('there is no operation "Decrement" of rate-counter'),
    );
    expect(await counters.http('counter')).toMatchObject({ status: 200 });
    counters.configure([counter], rule('Increment'));
    await eventually('it is denied', async () => (await counters.http('counter')).status === 403);
    await expect(counters.grpc('counter')).rejects.toMatchObject({ code: status.PERMISSION_DENIED });
    expect(await counters.json('counter')).toMatchObject({ status: 403 });
    counters.configure([counter]);
    await eventually('it is allowed again', async () => (await counters.http('counter')).status === 200);
  });

  test('goes without a trace', async () => {
    expect(await counters.layotto('module', 'rollback', 'slot-1', '--data-dir', lab.dataDir)).toMatchObject({
      code: 0,
    });
    counters.configure([]);
    await eventually('it is gone', async () => !('counter' in (await counters.components())));
    expect(await counters.http('counter')).toMatchObject({ status: 404 });
    expect(await counters.json('counter')).toMatchObject({ status: 404 });
    await expect(counters.grpc('counter')).rejects.toMatchObject({ code: status.UNIMPLEMENTED });
    const stats = await askSocket(join(lab.dataDir, 'envoy-admin.sock'), '/stats?filter=listener_modified');
    expect(stats?.body.trim()).toBe('listener_manager.listener_modified: 0');
  });
});

test('a bridge that serves doors itself serves those of such a primitive, and knows when it comes', async () => {
  const port = await freePort();
  const rules = '{ name: closed, deny: { primitives: [rate-counter], components: [closed] } }';
  const two = ['counter', 'closed'].map((name) => `{ name: ${name}, type: ./rate-counter/bridge }`);
  lab.file('alone.yaml', `policy: { rules: [${rules}] }\ncomponents: [${two.join(', ')}]\n`);
  const options = ['-c', 'alone.yaml', '--listen', String(port), '--data-dir', join(lab.folder, 'alone')];
  const bridge = lab.layotto(['bridge', ...options]);
  const own = new Client(`127.0.0.1:${port}`, credentials.createInsecure());
  const call = (componentName: string): Promise<Record<string, unknown>> =>
    callGrpc(own, counters.description, 'Increment', { componentName, key: 'visits' });
  try {
    await eventually('it serves', () => bridge.log.includes('serving the Layotto and Dapr gRPC doors'));
    const first = await eventually('it is ready', () => call('counter').catch(() => undefined));
    expect(first).toMatchObject({ count: 1 });
    expect(await call('counter')).toMatchObject({ count: 2 });
    await expect(call('closed')).rejects.toMatchObject({ code: status.PERMISSION_DENIED });
    await expect(call('other')).rejects.toMatchObject({ code: status.INVALID_ARGUMENT });
    const raw = await RawClient.connect({ port });
    const path = '/rate_counter.v1.RateCounter/Increment';
    const wrong = await raw.send({ path, body: [grpcFrame(Buffer.from([0x0a, 0x7f]))] });
    const none = await raw.send({ path: `${path}s`, body: [grpcFrame(new Uint8Array(0))] });
    raw.close();
    expect([wrong.grpcStatus, none.grpcStatus]).toEqual([status.INVALID_ARGUMENT, status.UNIMPLEMENTED]);
    lab.file('alone.yaml', 'components: []\n');
    await eventually('it is gone', () =>
      call('counter').then(
        () => false,
        ({ code }) => code === status.UNIMPLEMENTED,
      ),
    );
  } finally {
    own.close();
    bridge.signal('SIGTERM');
    await bridge.exited;
  }
});
