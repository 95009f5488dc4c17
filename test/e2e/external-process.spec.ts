import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';

import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { Server, ServerCredentials, status } from '@grpc/grpc-js';
import type { sendUnaryData, ServerUnaryCall } from '@grpc/grpc-js';

import { External } from '../../components-bridge/src/gen/layotto/bridge/v1/external_pb.js';
import type { PerformRequest } from '../../components-bridge/src/gen/layotto/bridge/v1/external_pb.js';
import { GRPC_PACKAGES, pythonWith } from '../../tools/python.mjs';
import { Child } from '../support/child.js';
import { CounterLab, counterExample } from '../support/counter-lab.js';
import { eventually } from '../support/wait.js';

/** A method whose messages its handler encodes itself. */
const AS_BYTES = {
  requestStream: false,
  responseStream: false,
  requestSerialize: (bytes: Buffer) => bytes,
  requestDeserialize: (bytes: Buffer) => bytes,
  responseSerialize: (bytes: Buffer) => bytes,
  responseDeserialize: (bytes: Buffer) => bytes,
};

let counters: CounterLab;

beforeAll(async () => void (counters = await CounterLab.open()), 120_000);

afterAll(() => counters?.close());

describe('a process of its own', () => {
  const socket = (): string => join(counters.lab.folder, 'rate.sock');
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
          Describe: { path: `/${d.parent.typeName}/${d.name}`, ...AS_BYTES },
          Perform: { path: `/${p.parent.typeName}/${p.name}`, ...AS_BYTES },
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
      counters.configure(['{ name: counter, type: ./rate-counter/bridge, socket: ./rate.sock }']);
      await eventually(
        'it is there',
        async () => (await counters.components())['counter'] === 'rate-counter.process',
      );
      expect(await counters.push()).toMatchObject({ code: 0 });
      await eventually('it answers', async () => (await counters.http('counter')).status === 200);
    }, 60_000);

    afterAll(() => {
      server?.forceShutdown();
      rmSync(socket(), { force: true });
    });

    test('what it answers arrives', async () => {
      expect(await counters.grpc('counter')).toMatchObject({ count: 41 });
    });

    test('it is told who calls, and about what', async () => {
      const requests: PerformRequest[] = [];
      perform = (request, answer) => {
        requests.push(request);
        answer(null);
      };
      await counters.json('counter', 'some key');
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
      const failure = await counters.grpc('counter').then(
        () => undefined,
        (reason: { code: number; details: string }) => reason,
      );
      expect(failure?.code).toBe(code);
      expect(failure?.details.length).toBeLessThanOrEqual(256);
      expect((await counters.http('counter')).status).toBeGreaterThanOrEqual(400);
      expect(await counters.stateAnswers()).toBe(true);
    });

    test('calls that it never answers end at their deadline, and take no room after that', async () => {
      perform = () => undefined;
      const calls = Array.from({ length: 50 }, () => counters.http('counter'));
      for (const { status: code } of await Promise.all(calls)) expect(code).toBe(408);
      await eventually('nothing is at work', async () => {
        return (JSON.parse(await counters.bridge('/health')) as { operations: number }).operations === 0;
      });
      expect(await counters.stateAnswers()).toBe(true);
    });

    test('another service in its place is not asked', async () => {
      perform = (_, answer) => answer(null);
      says = 'bank.v1.Accounts';
      await eventually('it is down', async () => (await counters.healthOf('counter')).status === 'down');
      expect((await counters.healthOf('counter')).reason).toContain('it serves "bank.v1.Accounts"');
      await expect(counters.grpc('counter')).rejects.toMatchObject({ code: status.UNAVAILABLE });
      says = 'rate_counter.v1.RateCounter';
      await eventually('it is back', async () => (await counters.healthOf('counter')).status === 'ready');
      expect(await counters.grpc('counter')).toMatchObject({ count: 0 });
    });
  });

  test('in Python: killed and started again, it is noticed both times', async () => {
    const python = await pythonWith(GRPC_PACKAGES);
    const start = (): Child =>
      new Child('python', python, [
        join(counterExample, 'process/server.py'),
        socket(),
        join(counters.lab.folder, 'rate-counter/bridge/primitive.json'),
      ]);
    let process = start();
    try {
      await eventually('it answers', async () => (await counters.http('counter')).status === 200);
      expect(await counters.grpc('counter', 'python')).toMatchObject({ count: 1 });
      expect(await counters.json('counter', 'python')).toEqual({ status: 200, body: { count: 2 } });
      process.signal('SIGKILL');
      await process.exited;
      await eventually('it is down', async () => (await counters.healthOf('counter')).status === 'down');
      expect((await counters.healthOf('counter')).reason).toContain(`the process on ${socket()}`);
      const asked = performance.now();
      await expect(counters.grpc('counter')).rejects.toMatchObject({ code: status.UNAVAILABLE });
      expect(performance.now() - asked).toBeLessThan(1_000);
      expect(await counters.stateAnswers()).toBe(true);
      process = start();
      await eventually('it is back', async () => (await counters.http('counter', 'python')).status === 200);
      expect(await counters.grpc('counter', 'python')).toMatchObject({ count: 2 });
    } finally {
      process.signal('SIGKILL');
      await process.exited;
    }
    expect(readFileSync(join(counters.lab.dataDir, 'bridge.log'), 'utf8')).not.toContain('uncaught');
  }, 60_000);
});
