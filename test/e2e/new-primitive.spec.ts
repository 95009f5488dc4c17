import { cpSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { fromBinary, toBinary, create } from '@bufbuild/protobuf';
import { createConfig, lintFromString } from '@redocly/openapi-core';
import { Client, credentials, Server, ServerCredentials, status } from '@grpc/grpc-js';
import type { sendUnaryData, ServerUnaryCall } from '@grpc/grpc-js';

import { callGrpc, callHttp } from '../../cli/src/testing.js';
import type { HttpAnswer } from '../../cli/src/testing.js';
import { askSocket } from '../../cli/src/socket-http.js';
import { readDescription } from '../../components-bridge/src/config/own-primitive.js';
import type { Description } from '../../components-bridge/src/config/own-primitive.js';
import { External } from '../../components-bridge/src/gen/layotto/bridge/v1/external_pb.js';
import type { PerformRequest } from '../../components-bridge/src/gen/layotto/bridge/v1/external_pb.js';
import { GRPC_PACKAGES, pythonWith } from '../../tools/python.mjs';
import { Child } from '../support/child.js';
import { grpcFrame, RawClient } from '../support/grpc-raw.js';
import { CommandLab } from '../support/layotto.js';
import { freePort } from '../support/ports.js';
import { eventually } from '../support/wait.js';

const example = fileURLToPath(new URL('../../examples/new-primitive', import.meta.url));
const STORE = '  - { name: statestore, type: state.embedded }';
const HEAD = 'limits: { deadline: 1500ms, message: 128KiB }\n';
const KEY = 'visits';

let lab: CommandLab;
let run: Child;
let client: Client;
let description: Description;

/** Writes what `layotto run` watches. */
function configure(components: readonly string[], more = ''): void {
  lab.file('layotto.yaml', `${HEAD}${more}components:\n${[STORE, ...components].join('\n')}\n`);
}

async function layotto(...args: string[]): Promise<{ code: number; log: string }> {
  const child = lab.layotto(args);
  return { code: await child.exited, log: child.log };
}

const push = (): ReturnType<typeof layotto> =>
  layotto(
    ...['module', 'push', join(lab.folder, 'rate-counter/filter/gen/rate-counter.wasm')],
    ...['--name', 'slot-1', '--data-dir', lab.dataDir],
  );

const grpc = (componentName: string, key = KEY): Promise<Record<string, unknown>> =>
  callGrpc(client, description, 'Increment', { componentName, key });
const json = (componentName: string, key = KEY): Promise<HttpAnswer> =>
  callHttp(lab.port, 'POST', '/v1.0-layotto/rate-counter/Increment', { componentName, key });
const http = (componentName: string, key = KEY): Promise<HttpAnswer> =>
  callHttp(lab.port, 'POST', `/v1.0/rate-counter/${componentName}/${key}`);
const stateAnswers = async (): Promise<boolean> =>
  (await callHttp(lab.port, 'GET', '/v1.0/state/statestore/none')).status === 204;

/** The components that the filter knows, with their types. */
async function components(): Promise<Record<string, string>> {
  const { body } = await callHttp(lab.port, 'GET', '/v1.0/metadata');
  const { components: list } = body as { components: { name: string; type: string }[] };
  return Object.fromEntries(list.map(({ name, type }) => [name, type]));
}

/** Where the bridge says that a component stands. */
async function healthOf(name: string): Promise<{ status?: string; reason?: string }> {
  const answer = await askSocket(join(lab.dataDir, 'bridge-admin.sock'), '/health');
  const { components: list } = JSON.parse(answer?.body ?? '{}') as {
    components: { name: string; status: string; reason?: string }[];
  };
  return list.find((one) => one.name === name) ?? {};
}

beforeAll(async () => {
  lab = await CommandLab.open();
  cpSync(join(example, 'rate-counter'), join(lab.folder, 'rate-counter'), { recursive: true });
  expect(await layotto('primitive', 'build', 'rate-counter')).toMatchObject({ code: 0 });
  description = readDescription(join(lab.folder, 'rate-counter/bridge'));
  client = new Client(`127.0.0.1:${lab.port}`, credentials.createInsecure());
  configure([]);
  run = lab.run([], { options: ['-c', 'layotto.yaml'] });
  await lab.ready(run);
}, 120_000);

afterAll(async () => {
  client?.close();
  await lab?.close();
});

describe('a module, loaded from its path', () => {
  test('its filter half is refused while there is no component', async () => {
    const { code, log } = await push();
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
    configure([`  - ${component}`]);
    await eventually(said, () => run.log.includes(said));
    expect(await stateAnswers()).toBe(true);
    configure([]);
    await eventually('it is gone', async () => !('counter' in (await components())));
  });

  test('comes into a runtime that serves, and is called by three doors', async () => {
    configure(['  - { name: counter, type: ./rate-counter/bridge }']);
    await eventually('it is there', async () => (await components())['counter'] === 'rate-counter.module');
    expect(await push()).toMatchObject({ code: 0 });
    expect(await grpc('counter')).toMatchObject({ count: 1 });
    expect(await http('counter')).toEqual({ status: 200, body: { count: 2 } });
    expect(await json('counter')).toEqual({ status: 200, body: { count: 3 } });
  });

  test('is listed where the others are: status, and the description of the HTTP doors', async () => {
    const { log } = await layotto('status', '--data-dir', lab.dataDir);
    expect(log).toMatch(/counter.*rate-counter\.module/);
    const { body } = await callHttp(lab.port, 'GET', '/v1.0-layotto/openapi.json');
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
      const { body } = await http('counter');
      return (body as { count: number }).count > 1000;
    });
    mkdirSync(join(lab.folder, 'rate-counter/bridge/lib'));
    lab.file('rate-counter/bridge/lib/more.mjs', `export { more } from './much.mjs';`);
    lab.file('rate-counter/bridge/lib/much.mjs', 'export const more = 5000;');
    const importing = `import { more } from './lib/more.mjs';\n${before.replace('{ count: count', '{ count: more + count')}`;
    lab.file(file, importing);
    const answers = (from: number): Promise<boolean> =>
      eventually(`it answers from ${from} on`, async () => {
        const { body } = await http('counter');
        return Math.floor((body as { count: number }).count / 1000) * 1000 === from;
      });
    await answers(5000);
    lab.file('rate-counter/bridge/lib/much.mjs', 'export const more = 7000;');
    await answers(7000);
    lab.file(file, 'this is no JavaScript');
    await eventually('it is said', () => run.log.includes('counter: the old settings go on serving'));
    expect(await http('counter')).toMatchObject({ status: 200 });
    lab.file(file, before);
    await eventually('it is as it was', async () => {
      const { body } = await http('counter');
      return (body as { count: number }).count < 1000;
    });
  });

  test('what is wrong with a call is said in the manner of its door', async () => {
    const missing = 'there is no rate-counter component of this name';
    await expect(grpc('other')).rejects.toMatchObject({ code: status.INVALID_ARGUMENT, details: missing });
    expect(await http('other')).toEqual({
      status: 400,
      body: { errorCode: 'ERR_RATE_COUNTER', message: missing },
    });
    expect(await json('other')).toMatchObject({ status: 400, body: { errorCode: 'INVALID_ARGUMENT' } });
    const wrong = await callHttp(lab.port, 'POST', '/v1.0-layotto/rate-counter/Increment', {
      componentName: 'counter',
      key: 7,
    });
    expect(wrong).toMatchObject({ status: 400, body: { errorCode: 'INVALID_ARGUMENT' } });
  });

  test('metrics name the component that is configured, and no other name that a caller made up', async () => {
    for (let i = 0; i < 20; i++) await http(`made-up-${i}`);
    const text = await eventually('it is counted', async () => {
      const { body } = await callHttp(lab.metricsPort, 'GET', '/metrics');
      return String(body).includes('operation="Increment",component="unknown"') ? String(body) : undefined;
    });
    const named = [...text.matchAll(/primitive="rate-counter",operation="(\w+)",component="([^"]*)"/g)];
    expect(new Set(named.map(([, operation]) => operation))).toEqual(new Set(['Increment']));
    expect(new Set(named.map(([, , component]) => component))).toEqual(new Set(['counter', 'unknown']));
    const bridge = await askSocket(join(lab.dataDir, 'bridge-admin.sock'), '/metrics');
    expect(bridge?.body).toMatch(/component="counter",type="rate-counter\.module",operation="Increment"/);
    expect(bridge?.body).not.toContain('made-up');
  });

  test('the policy knows its operations', async () => {
    const counter = '  - { name: counter, type: ./rate-counter/bridge }';
    const rule = (operation: string): string =>
      `policy:\n  rules: [{ name: no-counting, deny: { primitives: [rate-counter], operations: [${operation}] } }]\n`;
    configure([counter], rule('Decrement'));
    await eventually('a slip is said', () =>
      run.log.includes('there is no operation "Decrement" of rate-counter'),
    );
    expect(await http('counter')).toMatchObject({ status: 200 });
    configure([counter], rule('Increment'));
    await eventually('it is denied', async () => (await http('counter')).status === 403);
    await expect(grpc('counter')).rejects.toMatchObject({ code: status.PERMISSION_DENIED });
    expect(await json('counter')).toMatchObject({ status: 403 });
    configure([counter]);
    await eventually('it is allowed again', async () => (await http('counter')).status === 200);
  });

  test('goes without a trace', async () => {
    expect(await layotto('module', 'rollback', 'slot-1', '--data-dir', lab.dataDir)).toMatchObject({
      code: 0,
    });
    configure([]);
    await eventually('it is gone', async () => !('counter' in (await components())));
    expect(await http('counter')).toMatchObject({ status: 404 });
    expect(await json('counter')).toMatchObject({ status: 404 });
    await expect(grpc('counter')).rejects.toMatchObject({ code: status.UNIMPLEMENTED });
    const stats = await askSocket(join(lab.dataDir, 'envoy-admin.sock'), '/stats?filter=listener_modified');
    expect(stats?.body.trim()).toBe('listener_manager.listener_modified: 0');
  });
});

test('a bridge that serves doors itself serves those of such a primitive, and knows when it comes', async () => {
  const port = await freePort();
  const rules = '{ name: closed, deny: { primitives: [rate-counter], components: [closed] } }';
  const counters = ['counter', 'closed'].map((name) => `{ name: ${name}, type: ./rate-counter/bridge }`);
  lab.file('alone.yaml', `policy: { rules: [${rules}] }\ncomponents: [${counters.join(', ')}]\n`);
  const options = ['-c', 'alone.yaml', '--listen', String(port), '--data-dir', join(lab.folder, 'alone')];
  const bridge = lab.layotto(['bridge', ...options]);
  const own = new Client(`127.0.0.1:${port}`, credentials.createInsecure());
  const call = (componentName: string, key = KEY): Promise<Record<string, unknown>> =>
    callGrpc(own, description, 'Increment', { componentName, key });
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

describe('a process of its own', () => {
  const socket = (): string => join(lab.folder, 'rate.sock');
  const configured = (): void =>
    configure(['  - { name: counter, type: ./rate-counter/bridge, socket: ./rate.sock }']);

  describe('that is hostile', () => {
    let server: Server | undefined;
    /** What it makes of a call, and what it says that it serves. */
    let perform: (
      request: PerformRequest,
      answer: (error: object | null, payload?: Uint8Array) => void,
    ) => void;
    let says = 'rate_counter.v1.RateCounter';

    beforeAll(async () => {
      server = new Server();
      const { describe: d, perform: p } = External.method;
      server.addService(
        {
          Describe: {
            path: `/${d.parent.typeName}/${d.name}`,
            requestStream: false,
            responseStream: false,
            requestSerialize: (bytes: Buffer) => bytes,
            requestDeserialize: (bytes: Buffer) => bytes,
            responseSerialize: (bytes: Buffer) => bytes,
            responseDeserialize: (bytes: Buffer) => bytes,
          },
          Perform: {
            path: `/${p.parent.typeName}/${p.name}`,
            requestStream: false,
            responseStream: false,
            requestSerialize: (bytes: Buffer) => bytes,
            requestDeserialize: (bytes: Buffer) => bytes,
            responseSerialize: (bytes: Buffer) => bytes,
            responseDeserialize: (bytes: Buffer) => bytes,
          },
        },
        {
          Describe: (_: ServerUnaryCall<Buffer, Buffer>, answer: sendUnaryData<Buffer>) => {
            const told = { protocol: 1, service: says, methods: ['Increment'] };
            answer(null, Buffer.from(toBinary(d.output, create(d.output, told))));
          },
          Perform: (call: ServerUnaryCall<Buffer, Buffer>, answer: sendUnaryData<Buffer>) => {
            perform(fromBinary(p.input, call.request), (error, payload = new Uint8Array()) => {
              if (error !== null) answer(error);
              else answer(null, Buffer.from(toBinary(p.output, create(p.output, { payload }))));
            });
          },
        },
      );
      await new Promise<void>((resolve, reject) =>
        server?.bindAsync(`unix:${socket()}`, ServerCredentials.createInsecure(), (error) =>
          error === null ? resolve() : reject(error),
        ),
      );
      perform = (_, answer) => answer(null, Uint8Array.of(8, 41));
      configured();
      await eventually('it is there', async () => (await components())['counter'] === 'rate-counter.process');
      expect(await push()).toMatchObject({ code: 0 });
      await eventually('it answers', async () => (await http('counter')).status === 200);
    }, 60_000);

    afterAll(() => {
      server?.forceShutdown();
      rmSync(socket(), { force: true });
    });

    test('what it answers arrives', async () => {
      expect(await grpc('counter')).toMatchObject({ count: 41 });
    });

    test('it is told who calls, and about what', async () => {
      const requests: PerformRequest[] = [];
      perform = (request, answer) => {
        requests.push(request);
        answer(null);
      };
      await json('counter', 'some key');
      expect(requests).toMatchObject([
        { method: 'Increment', component: 'counter', appId: 'app', metadata: {} },
      ]);
    });

    test.each<[string, object | null, Uint8Array | undefined, number]>([
      ['bytes that are no message', null, Uint8Array.of(0xff, 0xff, 0xff), status.INTERNAL],
      ['more than a message may be', null, new Uint8Array(200 * 1024), status.RESOURCE_EXHAUSTED],
      ['a failure', { code: status.NOT_FOUND, details: 'no such key' }, undefined, status.NOT_FOUND],
      [
        'a failure without end',
        { code: status.ABORTED, details: 'x'.repeat(12_000) },
        undefined,
        status.ABORTED,
      ],
      ['a code that is none', { code: 99, details: 'what?' }, undefined, status.INTERNAL],
    ])('%s becomes an answer, and harms nothing', async (_, error, payload, code) => {
      perform = (_request, answer) => answer(error, payload);
      const failure = await grpc('counter').then(
        () => undefined,
        (reason: { code: number; details: string }) => reason,
      );
      expect(failure?.code).toBe(code);
      expect(failure?.details.length).toBeLessThanOrEqual(256);
      expect((await http('counter')).status).toBeGreaterThanOrEqual(400);
      expect(await stateAnswers()).toBe(true);
    });

    test('calls that it never answers end at their deadline, and take no room after that', async () => {
      perform = () => undefined;
      const calls = Array.from({ length: 50 }, () => http('counter'));
      for (const { status: code } of await Promise.all(calls)) expect(code).toBe(408);
      await eventually('nothing is at work', async () => {
        const answer = await askSocket(join(lab.dataDir, 'bridge-admin.sock'), '/health');
        return (JSON.parse(answer?.body ?? '{}') as { operations: number }).operations === 0;
      });
      expect(await stateAnswers()).toBe(true);
    });

    test('another service in its place is not asked', async () => {
      perform = (_, answer) => answer(null);
      says = 'bank.v1.Accounts';
      await eventually('it is down', async () => (await healthOf('counter')).status === 'down');
      expect((await healthOf('counter')).reason).toContain('it serves "bank.v1.Accounts"');
      await expect(grpc('counter')).rejects.toMatchObject({ code: status.UNAVAILABLE });
      says = 'rate_counter.v1.RateCounter';
      await eventually('it is back', async () => (await healthOf('counter')).status === 'ready');
      expect(await grpc('counter')).toMatchObject({ count: 0 });
    });
  });

  test('in Python: killed and started again, it is noticed both times', async () => {
    const python = await pythonWith(GRPC_PACKAGES);
    const start = (): Child =>
      new Child('python', python, [
        join(example, 'process/server.py'),
        socket(),
        join(lab.folder, 'rate-counter/bridge/primitive.json'),
      ]);
    let process = start();
    try {
      await eventually('it answers', async () => (await http('counter')).status === 200);
      expect(await grpc('counter', 'python')).toMatchObject({ count: 1 });
      expect(await json('counter', 'python')).toEqual({ status: 200, body: { count: 2 } });
      process.signal('SIGKILL');
      await process.exited;
      await eventually('it is down', async () => (await healthOf('counter')).status === 'down');
      expect((await healthOf('counter')).reason).toContain(`the process on ${socket()}`);
      const asked = performance.now();
      await expect(grpc('counter')).rejects.toMatchObject({ code: status.UNAVAILABLE });
      expect(performance.now() - asked).toBeLessThan(1_000);
      expect(await stateAnswers()).toBe(true);
      process = start();
      await eventually('it is back', async () => (await http('counter', 'python')).status === 200);
      expect(await grpc('counter', 'python')).toMatchObject({ count: 2 });
    } finally {
      process.signal('SIGKILL');
      await process.exited;
    }
    expect(readFileSync(join(lab.dataDir, 'bridge.log'), 'utf8')).not.toContain('uncaught');
  }, 60_000);
});
