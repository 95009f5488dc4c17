import { create, toBinary } from '@bufbuild/protobuf';
import { CommunicationProtocolEnum, DaprClient } from '@dapr/dapr';
import { Client as LayottoClient } from 'layotto';
import { join } from 'node:path';
import { Readable } from 'node:stream';

import {
  HealthCheckRequestSchema,
  HealthCheckResponseSchema,
} from '../../components-bridge/src/gen/grpc/health/v1/health_pb.js';
import {
  InvokeBindingRequestSchema,
  InvokeBindingResponseSchema,
} from '../../components-bridge/src/gen/layotto/bridge/v1/binding_pb.js';
import { envoyBinary } from '../../tools/get.mjs';
import { blocksOf, read } from '../docs/markdown.js';
import type { Child } from '../support/child.js';
import { Child as Process } from '../support/child.js';
import { DAPR, GrpcStateDoor, LAYOTTO } from '../support/doors.js';
import { grpcFrame, RawClient } from '../support/grpc-raw.js';
import { http1 } from '../support/http1.js';
import { TestHttpServer } from '../support/http-server.js';
import { CommandLab } from '../support/layotto.js';
import { freePort } from '../support/ports.js';
import { getStateBody, saveStateBody } from '../support/requests.js';
import { eventually } from '../support/wait.js';

const CONFIG = `components:
  - name: statestore
    type: state.embedded
  - name: local
    type: file.local
  - name: out
    type: bindings.http
    metadata: { url: '%URL%' }
`;

describe('layotto bridge --listen', () => {
  let lab: CommandLab;
  let http: TestHttpServer;
  const clients: RawClient[] = [];

  beforeEach(async () => {
    lab = await CommandLab.open();
    http = await TestHttpServer.start();
    lab.file('layotto.yaml', CONFIG.replace('%URL%', http.url));
  });

  afterEach(async () => {
    for (const client of clients.splice(0)) client.close();
    await lab.close();
    await http.stop();
  });

  async function connect(port = lab.port): Promise<RawClient> {
    const client = await RawClient.connect({ port });
    clients.push(client);
    return client;
  }

  async function serving(child: Child): Promise<void> {
    await eventually('it serves doors', () => {
      if (child.exitCode !== undefined) throw new Error(child.tail());
      return child.log.includes('serving the Layotto and Dapr gRPC doors');
    });
  }

  const bridge = (...more: string[]) =>
    lab.layotto([
      'bridge',
      '-c',
      'layotto.yaml',
      '--data-dir',
      lab.dataDir,
      '--listen',
      String(lab.port),
      ...more,
    ]);

  const invoke = (client: RawClient, path: string) =>
    client.unary(
      `${DAPR}/InvokeBinding`,
      InvokeBindingRequestSchema,
      { name: 'out', operation: 'get', metadata: { path } },
      InvokeBindingResponseSchema,
    );

  const health = (client: RawClient, service = '') =>
    client.unary(
      '/grpc.health.v1.Health/Check',
      HealthCheckRequestSchema,
      { service },
      HealthCheckResponseSchema,
    );

  it('a plain Envoy routes to it, as the document shows', async () => {
    const child = bridge();
    await serving(child);
    const sample = blocksOf(read('docs/without-wasm.md')).find(({ mark }) => mark === 'envoy.yaml');
    const port = await freePort();
    const yaml = sample?.text
      .replace('port_value: 34903', `port_value: ${port}`)
      .replace('port_value: 34904', `port_value: ${lab.port}`);
    const { path } = await envoyBinary({ log: () => undefined });
    const file = lab.file('envoy.yaml', yaml ?? '');
    const envoy = new Process('envoy', path, ['-c', file, '--disable-hot-restart', '--concurrency', '1']);
    try {
      const raw = await eventually('Envoy listens, and has asked after health', async () => {
        if (envoy.exitCode !== undefined) throw new Error(envoy.tail());
        const client = await connect(port);
        const { grpcStatus, grpcMessage } = await health(client);
        if (grpcStatus !== 0) throw new Error(grpcMessage);
        return client;
      });
      expect((await health(raw, 'a.b.C')).grpcStatus).toBe(5);
      const layotto = new LayottoClient(String(port), '127.0.0.1');
      const storeName = 'statestore';
      await layotto.state.save({ storeName, states: { key: 'a', value: 'one' } });
      const parts = Array.from({ length: 20 }, (_, i) => Buffer.alloc(50_000, String(i % 10)));
      await layotto.file.put({ storeName: 'local', name: 'f', stream: Readable.from(parts) });
      // The client's put returns when it has sent, not when the file is there.
      await eventually('the file is there, whole', async () => {
        const got: Uint8Array[] = [];
        const reading = await layotto.file.get({ storeName: 'local', name: 'f' });
        for await (const part of reading as AsyncIterable<Uint8Array>) got.push(part);
        return Buffer.concat(got).equals(Buffer.concat(parts));
      });
      (layotto as unknown as { _runtime: { close(): void } })._runtime.close();
      const dapr = new DaprClient({
        daprHost: '127.0.0.1',
        daprPort: String(port),
        communicationProtocol: CommunicationProtocolEnum.GRPC,
      });
      expect(await dapr.state.get(storeName, 'a')).toBe('one');
      await expect(dapr.state.get('nope', 'a')).rejects.toThrow(/nope is not found/);
      await dapr.stop();
      child.signal('SIGTERM');
      expect(await child.exited).toBe(0);
      await eventually('Envoy knows', async () => (await health(raw)).grpcStatus === 14);
    } finally {
      envoy.signal('SIGKILL');
      await envoy.exited;
    }
  });

  it('lets a call in hand finish on SIGTERM, and takes no new ones', async () => {
    const child = bridge();
    await serving(child);
    const client = await connect();
    const answer = invoke(client, 'slowly');
    await eventually('it is under way', () => http.seen.length === 1);
    child.signal('SIGTERM');
    await eventually('it does not listen any more', async () => {
      const late = await connect().catch(() => undefined);
      return late === undefined;
    });
    http.dropConnections();
    expect((await answer).grpcMessage).toContain('error invoking output binding out');
    expect(await child.exited).toBe(0);
  });

  it('ends what does not end in time with UNAVAILABLE', async () => {
    const child = bridge();
    await serving(child);
    const answer = invoke(await connect(), 'never');
    await eventually('it is under way', () => http.seen.length === 1);
    child.signal('SIGTERM');
    expect(await answer).toMatchObject({ grpcStatus: 14 });
    expect(await child.exited).toBe(0);
  });

  it('hands its port on to the bridge that takes over', async () => {
    const old = bridge();
    await serving(old);
    const next = bridge('--takeover');
    await serving(next);
    expect(await old.exited).toBe(0);
    const door = new GrpcStateDoor('Layotto', await connect(), LAYOTTO);
    expect(await door.save('statestore', [{ key: 'k', value: '"v"' }])).toMatchObject({ code: 0 });
  });

  it('refuses an address that is none, that is in use, or that cannot be had with --node', async () => {
    const run = async (...args: string[]) => {
      const child = lab.layotto([
        'bridge',
        '-c',
        'layotto.yaml',
        '--data-dir',
        join(lab.folder, 'other'),
        ...args,
      ]);
      return { code: await child.exited, log: child.log };
    };
    const none = await run('--listen', 'somewhere');
    expect(none.code).toBe(2);
    expect(none.log).toContain('--listen: expected a port, or an IP address and a port');
    const taken = await run('--listen', String(http.port));
    expect(taken.code).toBe(2);
    expect(taken.log).toContain(`--listen: 127.0.0.1:${http.port} is in use`);
    const node = await run('--node', '--listen', String(lab.port));
    expect(node.code).toBe(2);
    expect(node.log).toContain('--listen is for a bridge of one app');
  });

  it('refuses calls and streams beyond its limits, and serves again after', async () => {
    lab.file('layotto.yaml', `${CONFIG.replace('%URL%', http.url)}limits: { operations: 2, streams: 1 }\n`);
    await serving(bridge());
    const client = await connect();
    const held = [invoke(client, 'never'), invoke(client, 'never')];
    await eventually('both are under way', () => http.seen.length === 2);
    const busy = 'too busy: limits.operations or limits.bytes is reached; try again later';
    expect(await invoke(client, 'status/204')).toMatchObject({
      grpcStatus: 8,
      grpcMessage: `error invoking output binding out: ${busy}`,
    });
    http.dropConnections();
    for (const { grpcStatus } of await Promise.all(held)) expect(grpcStatus).toBeGreaterThan(0);
    expect(await invoke(client, 'status/204')).toMatchObject({ grpcStatus: 0 });
    const upload = client.start({ path: `${LAYOTTO}/PutFile`, end: false });
    await eventually('one more is too many', async () => {
      const { grpcMessage } = await client.send({ path: `${LAYOTTO}/PutFile` });
      return grpcMessage === 'too many open streams: limits.streams is reached; try again later';
    });
    upload.cancel();
    await upload.answer;
    await eventually('there is room again', async () => {
      const { grpcMessage } = await client.send({ path: `${LAYOTTO}/PutFile` });
      return grpcMessage === "request can't be nil";
    });
  });

  it('keeps the rate limits of the policy, over all connections, and says when to come again', async () => {
    lab.file(
      'layotto.yaml',
      `${CONFIG.replace('%URL%', http.url)}policy:
  limits:
    - { name: writes, operations: [SaveState], rate: 1/m, burst: 2 }
    - { name: uploads, primitives: [file], rate: 1/h }
`,
    );
    await serving(bridge());
    const save = async () => {
      const client = await connect();
      return client.send({ path: `${DAPR}/SaveState`, body: [saveStateBody('k', '1')] });
    };
    await eventually('the store is there', async () => {
      const client = await connect();
      return (await client.send({ path: `${LAYOTTO}/GetState`, body: [getStateBody('k')] })).grpcStatus === 0;
    });
    expect([(await save()).grpcStatus, (await save()).grpcStatus]).toEqual([0, 0]);
    const refused = await save();
    expect(refused.grpcStatus).toBe(8);
    expect(refused.grpcMessage).toMatch(
      /^too many calls: the limit "writes" of the policy is met; try again in \d+ ms$/,
    );
    expect(Number(refused.headers['retry-after'])).toBeGreaterThan(30);
    const client = await connect();
    const upload = () => client.send({ path: `${LAYOTTO}/PutFile` });
    expect((await upload()).grpcMessage).toBe("request can't be nil");
    const late = await upload();
    expect([late.grpcStatus, late.headers['retry-after']]).toEqual([8, '3600']);
    const page = await http1({ socketPath: join(lab.dataDir, 'bridge-admin.sock') }, 'GET', '/metrics');
    expect(page.body).toContain('layotto_bridge_rate_limit_refusals_total{limit="writes"} 1');
    expect(page.body).toContain('layotto_bridge_rate_limit_refusals_total{limit="uploads"} 1');
  });

  it('outlives callers that give up while their calls are at work', async () => {
    const child = bridge();
    await serving(child);
    const client = await connect();
    const message = { name: 'out', operation: 'get', metadata: { path: 'never' } };
    const body = [
      grpcFrame(toBinary(InvokeBindingRequestSchema, create(InvokeBindingRequestSchema, message))),
    ];
    const calls = Array.from({ length: 5 }, () => client.start({ path: `${DAPR}/InvokeBinding`, body }));
    const uploads = Array.from({ length: 5 }, () => client.start({ path: `${LAYOTTO}/PutFile`, end: false }));
    await eventually('they are under way', () => http.seen.length === 5);
    for (const call of [...calls, ...uploads]) call.cancel();
    await Promise.all([...calls, ...uploads].map(({ answer }) => answer));
    // Now the operations fail, and there is nobody to tell.
    http.dropConnections();
    expect(await invoke(client, 'status/204')).toMatchObject({ grpcStatus: 0 });
    const torn = await connect();
    void torn.start({ path: `${DAPR}/InvokeBinding`, body }).answer.catch(() => undefined);
    await eventually('it is under way', () => http.seen.length === 7);
    torn.close();
    http.dropConnections();
    expect(await invoke(client, 'status/204')).toMatchObject({ grpcStatus: 0 });
    expect(child.exitCode).toBeUndefined();
    expect(child.log).not.toContain('uncaught');
  });
});
