import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import type { MessageInitShape } from '@bufbuild/protobuf';

import * as dapr from '../../components-bridge/src/gen/dapr/proto/runtime/v1/configuration_pb.js';
import * as pb from '../../components-bridge/src/gen/layotto/bridge/v1/configuration_pb.js';
import { PushSchema } from '../../components-bridge/src/gen/layotto/bridge/v1/session_pb.js';
import type { PluginComponent } from '../../envoy/plugin-config.js';
import { Kind } from '../support/frames.js';
import { unframe } from '../support/grpc-raw.js';
import { configuration, Filter } from './harness.js';
import type { HttpStream } from '../../cli/src/emulator/http-stream.js';

const LAYOTTO = '/spec.proto.runtime.v1.Runtime';
const DAPR = '/dapr.proto.runtime.v1.Dapr';

const STORE: PluginComponent = {
  name: 'configs',
  type: 'configuration.redis',
  version: 'v1',
  primitive: 'configuration',
  capabilities: [],
};
const STALENESS_MS = 5_000;

type GetRequest = MessageInitShape<typeof pb.GetConfigurationRequestSchema>;
type Items = MessageInitShape<typeof pb.GetConfigurationResponseSchema>['items'];
type Push = MessageInitShape<typeof PushSchema>;

const getMessage = (request: GetRequest): Uint8Array =>
  toBinary(pb.GetConfigurationRequestSchema, create(pb.GetConfigurationRequestSchema, request));
const responseMessage = (items: Items): Uint8Array =>
  toBinary(pb.GetConfigurationResponseSchema, create(pb.GetConfigurationResponseSchema, { items }));
const daprGet = (storeName: string, ...keys: string[]): Uint8Array =>
  toBinary(
    dapr.GetConfigurationRequestSchema,
    create(dapr.GetConfigurationRequestSchema, { storeName, keys }),
  );

const connected = (component: Partial<PluginComponent> = {}): Promise<Filter> =>
  Filter.connected({ components: [{ ...STORE, ...component }] });

const ITEMS = [
  { key: 'k', content: 'v"1"', group: 'g', label: 'l', tags: { t: 'x' }, metadata: { m: 'y' }, version: '7' },
  { key: 'bare', content: '' },
];

function layottoGet(filter: Filter, request: GetRequest = { storeName: 'configs', keys: ['k'] }): HttpStream {
  return filter.grpc(`${LAYOTTO}/GetConfiguration`, getMessage(request));
}

/** Content of the first item that a Layotto call was answered; `asked` if it waits for the bridge. */
function outcome(stream: HttpStream): string {
  if (stream.answer === undefined) return 'asked';
  if (stream.answer.grpcStatus !== 0) return String(stream.answer.grpcStatus);
  const [message] = unframe(stream.answer.body);
  return fromBinary(pb.GetConfigurationResponseSchema, message as Buffer).items[0]?.content ?? '';
}

const ageOf = (stream: HttpStream): string | undefined =>
  stream.answer?.headers.get('layotto-configuration-age') ?? undefined;

describe('doors', () => {
  test("Layotto's messages go out as they came, and results come back", async () => {
    const filter = await connected();
    const message = getMessage({ storeName: 'configs', appId: 'a', group: 'g', label: 'l', keys: ['k'] });
    const stream = filter.grpc(`${LAYOTTO}/GetConfiguration`, message);
    const request = filter.bridge.lastRequest();
    expect(request.frame.method).toBe('layotto.bridge.v1.Configuration/GetConfiguration');
    expect(Buffer.from(request.frame.payload)).toEqual(Buffer.from(message));
    filter.bridge.result(request, pb.GetConfigurationResponseSchema, { items: ITEMS });
    const [answer] = unframe(stream.answer?.body ?? Buffer.alloc(0));
    expect(fromBinary(pb.GetConfigurationResponseSchema, answer as Buffer).items).toMatchObject(ITEMS);
    // Only of stores that Envoy answers for it is said.
    expect(ageOf(stream)).toBeUndefined();
  });

  test.each([
    ['SaveConfiguration', pb.SaveConfigurationRequestSchema, pb.SaveConfigurationResponseSchema],
    ['DeleteConfiguration', pb.DeleteConfigurationRequestSchema, pb.DeleteConfigurationResponseSchema],
  ] as const)('%s', async (method, input, output) => {
    const filter = await connected();
    const stream = filter.grpc(
      `${LAYOTTO}/${method}`,
      toBinary(input, create(input, { storeName: 'configs' })),
    );
    const request = filter.bridge.lastRequest();
    expect(request.frame.method).toBe(`layotto.bridge.v1.Configuration/${method}`);
    filter.bridge.result(request, output, {});
    expect(stream.answer).toMatchObject({ grpcStatus: 0 });
  });

  test.each(['GetConfiguration', 'GetConfigurationAlpha1'])("Dapr's %s", async (method) => {
    const filter = await connected();
    const stream = filter.grpc(`${DAPR}/${method}`, daprGet('configs', 'k', 'bare'));
    const request = filter.bridge.lastRequest();
    expect(fromBinary(pb.GetConfigurationRequestSchema, request.frame.payload)).toMatchObject({
      storeName: 'configs',
      keys: ['k', 'bare'],
    });
    filter.bridge.result(request, pb.GetConfigurationResponseSchema, { items: ITEMS });
    const [answer] = unframe(stream.answer?.body ?? Buffer.alloc(0));
    expect(fromBinary(dapr.GetConfigurationResponseSchema, answer as Buffer).items).toMatchObject([
      { key: 'k', value: { value: 'v"1"', version: '7', metadata: { m: 'y' } } },
      { key: 'bare', value: { value: '', version: '' } },
    ]);
  });

  test.each(['v1.0', 'v1.0-alpha1'])('HTTP %s', async (version) => {
    const filter = await connected();
    const path = `/${version}/configuration/configs?key=a%20b&key=k&metadata.m=1&key=`;
    const stream = filter.http('GET', path);
    const request = filter.bridge.lastRequest();
    expect(fromBinary(pb.GetConfigurationRequestSchema, request.frame.payload)).toMatchObject({
      storeName: 'configs',
      keys: ['a b', 'k', ''],
      metadata: { m: '1' },
    });
    filter.bridge.result(request, pb.GetConfigurationResponseSchema, { items: ITEMS });
    expect(JSON.parse(stream.answer?.body.toString() ?? '')).toEqual({
      k: { value: 'v"1"', version: '7', metadata: { m: 'y' } },
      bare: { value: '' },
    });
    const none = filter.http('GET', path);
    filter.bridge.result(filter.bridge.lastRequest(), pb.GetConfigurationResponseSchema, {});
    expect(none.answer).toMatchObject({ status: 204 });
  });

  test('refusals: no store, another store, no message', async () => {
    const empty = await Filter.connected();
    const filter = await connected();
    const layotto = (f: Filter, message: Uint8Array): unknown =>
      f.grpc(`${LAYOTTO}/GetConfiguration`, message).answer;
    const words = "configure store [nope] don't support now";
    for (const f of [empty, filter])
      expect(layotto(f, getMessage({ storeName: 'nope' }))).toMatchObject({ grpcMessage: words });
    expect(layotto(filter, Buffer.from('0a05', 'hex'))).toMatchObject({ grpcStatus: 3 });
    const daprAnswer = (f: Filter): unknown => f.grpc(`${DAPR}/GetConfiguration`, daprGet('nope')).answer;
    expect(daprAnswer(empty)).toMatchObject({
      grpcStatus: 9,
      grpcMessage: 'configuration stores not configured',
    });
    expect(daprAnswer(filter)).toMatchObject({
      grpcStatus: 3,
      grpcMessage: 'configuration store nope not found',
    });
    const http = (f: Filter): unknown => {
      const { answer } = f.http('GET', '/v1.0/configuration/nope');
      return [answer?.status, JSON.parse(answer?.body.toString() ?? '')];
    };
    expect(http(empty)).toEqual([
      500,
      { errorCode: 'ERR_CONFIGURATION_STORE_NOT_CONFIGURED', message: 'configuration stores not configured' },
    ]);
    expect(http(filter)).toEqual([
      400,
      { errorCode: 'ERR_CONFIGURATION_STORE_NOT_FOUND', message: 'configuration store nope not found' },
    ]);
    expect([...empty.bridge.requests(), ...filter.bridge.requests()]).toEqual([]);
  });

  test('failures, in the words of each API', async () => {
    const filter = await connected();
    const fail = (stream: HttpStream): HttpStream => {
      filter.bridge.failure(filter.bridge.lastRequest(), 14, 'it is away');
      return stream;
    };
    expect(fail(layottoGet(filter)).answer).toMatchObject({
      grpcStatus: 14,
      grpcMessage: 'get configuration failed with error: it is away',
    });
    const text = 'failed to get [a b] from Configuration store configs: it is away';
    expect(fail(filter.grpc(`${DAPR}/GetConfiguration`, daprGet('configs', 'a', 'b'))).answer).toMatchObject({
      grpcStatus: 14,
      grpcMessage: text,
    });
    const http = fail(filter.http('GET', '/v1.0/configuration/configs?key=a&key=b')).answer;
    expect(http?.status).toBe(503);
    expect(JSON.parse(http?.body.toString() ?? '')).toEqual({
      errorCode: 'ERR_CONFIGURATION_GET',
      message: text,
    });
  });

  test('an answer that cannot be read is told so', async () => {
    const filter = await connected();
    const unreadable = (stream: HttpStream): HttpStream => {
      const { stream: session, frame } = filter.bridge.lastRequest();
      filter.bridge.send(session, {
        id: frame.id,
        kind: Kind.RESULT,
        payload: Buffer.from('0a05', 'hex'),
      });
      return stream;
    };
    const daprStream = unreadable(filter.grpc(`${DAPR}/GetConfiguration`, daprGet('configs')));
    expect(daprStream.answer).toMatchObject({ grpcStatus: 13 });
    const http = unreadable(filter.http('GET', '/v1.0/configuration/configs'));
    expect(http.answer).toMatchObject({ status: 500 });
  });
});

describe('answers that the bridge keeps up to date', () => {
  const REQUEST: GetRequest = { storeName: 'configs', keys: ['k'] };
  const live = (cacheBytes = 8_388_608): Promise<Filter> => {
    const { limits } = configuration();
    return Filter.connected({
      limits: { ...limits, cacheBytes },
      components: [
        { ...STORE, answerInEnvoyMs: STALENESS_MS },
        { ...STORE, name: 'plain' },
      ],
    });
  };

  function push(filter: Filter, said: Push): void {
    const payload = toBinary(PushSchema, create(PushSchema, said));
    filter.bridge.send(filter.bridge.session(false), { kind: Kind.PUSH, payload });
  }

  function tell(
    filter: Filter,
    content: string,
    more: { id?: number; ageMs?: number; request?: GetRequest } = {},
  ): void {
    const { id = 1, ageMs = 0, request = REQUEST } = more;
    const response = responseMessage([{ key: 'k', content }]);
    const said = { primitive: 'configuration', component: 'configs', id, ageUs: BigInt(ageMs * 1_000) };
    push(filter, { answer: { ...said, request: getMessage(request), response } });
  }

  function fresh(filter: Filter, answers: number[], ageMs = 0): void {
    const said = { primitive: 'configuration', component: 'configs', answers, ageUs: BigInt(ageMs * 1_000) };
    push(filter, { freshness: said });
  }

  test('are given behind every door, with their age', async () => {
    const filter = await live();
    tell(filter, 'v', { ageMs: 100 });
    expect(outcome(layottoGet(filter))).toBe('v');
    expect(ageOf(layottoGet(filter))).toBe('100');
    filter.advance(50);
    const daprStream = filter.grpc(`${DAPR}/GetConfiguration`, daprGet('configs', 'k'));
    expect(daprStream.answer).toMatchObject({ grpcStatus: 0 });
    expect(ageOf(daprStream)).toBe('150');
    const http = filter.http('GET', '/v1.0/configuration/configs?key=k');
    expect(JSON.parse(http.answer?.body.toString() ?? '')).toEqual({ k: { value: 'v' } });
    expect(http.answer?.headers.get('server-timing')).toMatch(/cache;desc=hit/);
    expect(filter.bridge.requests()).toEqual([]);
  });

  test('are given to the same request only, and what the bridge answers is age 0', async () => {
    const filter = await live();
    tell(filter, 'v');
    for (const request of [
      { storeName: 'configs', keys: ['K'] },
      { ...REQUEST, group: 'g' },
      { storeName: 'plain', keys: ['k'] },
    ]) {
      expect(outcome(layottoGet(filter, request))).toBe('asked');
    }
    const stream = layottoGet(filter, { storeName: 'configs' });
    filter.bridge.result(filter.bridge.lastRequest(), pb.GetConfigurationResponseSchema, { items: ITEMS });
    expect(ageOf(stream)).toBe('0');
    // What was answered so is not kept: the bridge may have told of a change meanwhile.
    expect(outcome(layottoGet(filter, { storeName: 'configs' }))).toBe('asked');
  });

  test('are replaced and withdrawn', async () => {
    const filter = await live();
    tell(filter, 'v1');
    tell(filter, 'v2');
    expect(outcome(layottoGet(filter))).toBe('v2');
    const said = { primitive: 'configuration', component: 'configs', id: 1 };
    push(filter, { answer: { ...said, request: getMessage(REQUEST), withdrawn: true } });
    expect(outcome(layottoGet(filter))).toBe('asked');
  });

  test('are given as long as they are not too stale, however long the bridge is away', async () => {
    const filter = await live();
    tell(filter, 'v', { id: 3 });
    filter.advance(3_000);
    fresh(filter, [1, 2], 0);
    fresh(filter, [3], 500);
    expect(ageOf(layottoGet(filter))).toBe('500');
    // What was known of it before is no reason to forget what is known now.
    fresh(filter, [3], 900);
    expect(ageOf(layottoGet(filter))).toBe('500');
    filter.bridge.close();
    filter.advance(STALENESS_MS - 600);
    expect(outcome(layottoGet(filter))).toBe('v');
    expect(ageOf(layottoGet(filter))).toBe(String(STALENESS_MS - 100));
    filter.advance(200);
    expect(outcome(layottoGet(filter))).toBe('14');
  });

  test('told in an earlier session only stand in for a bridge that cannot answer', async () => {
    const filter = await live();
    tell(filter, 'old');
    filter.bridge.close();
    filter.connect();
    fresh(filter, [1]);
    const stream = layottoGet(filter);
    expect(outcome(stream)).toBe('asked');
    filter.bridge.failure(filter.bridge.lastRequest(), 14, 'configuration store configs is not ready');
    expect(outcome(stream)).toBe('old');
    expect(Number(ageOf(stream))).toBeGreaterThan(0);
    const refused = layottoGet(filter);
    filter.bridge.failure(filter.bridge.lastRequest(), 3, 'no');
    expect(outcome(refused)).toBe('3');
    tell(filter, 'new');
    expect(outcome(layottoGet(filter))).toBe('new');
    filter.advance(1_000);
    expect(filter.host.metric('layotto_live_reads_total;result=substitute')).toBe(1);
    expect(filter.host.metric('layotto_live_reads_total;result=hit')).toBe(1);
    expect(filter.host.metric('layotto_live_reads_total;result=miss')).toBe(2);
  });

  test.each([
    ['SaveConfiguration', pb.SaveConfigurationRequestSchema, pb.SaveConfigurationResponseSchema],
    ['DeleteConfiguration', pb.DeleteConfigurationRequestSchema, pb.DeleteConfigurationResponseSchema],
  ] as const)('from before a %s are not given after it', async (method, input, output) => {
    const filter = await live();
    tell(filter, 'old');
    const write = (storeName: string): void => {
      filter.grpc(`${LAYOTTO}/${method}`, toBinary(input, create(input, { storeName })));
      filter.bridge.result(filter.bridge.lastRequest(), output, {});
    };
    write('plain');
    expect(outcome(layottoGet(filter))).toBe('old');
    filter.advance(10);
    write('configs');
    expect(outcome(layottoGet(filter))).toBe('asked');
    filter.advance(10);
    // It was read before the write had ended.
    fresh(filter, [1], 11);
    expect(outcome(layottoGet(filter))).toBe('asked');
    fresh(filter, [1], 5);
    expect(outcome(layottoGet(filter))).toBe('old');
  });

  test('are as old as what is said of them, and the time that took', async () => {
    const filter = await live();
    const microseconds = (): bigint => filter.host.nowNs / 1_000n;
    const response = responseMessage([{ key: 'k', content: 'old' }]);
    const said = { primitive: 'configuration', component: 'configs', ageUs: 1_000n };
    const answer = { ...said, id: 1, request: getMessage(REQUEST), response, saidUs: microseconds() };
    filter.advance(7);
    push(filter, { answer });
    expect(ageOf(layottoGet(filter))).toBe('8');
    const before = microseconds();
    filter.advance(10);
    const request = { storeName: 'configs' };
    filter.grpc(
      `${LAYOTTO}/SaveConfiguration`,
      toBinary(pb.SaveConfigurationRequestSchema, create(pb.SaveConfigurationRequestSchema, request)),
    );
    filter.bridge.result(filter.bridge.lastRequest(), pb.SaveConfigurationResponseSchema, {});
    filter.advance(10);
    // Said before the write had ended, and heard after it.
    push(filter, { freshness: { ...said, answers: [1], saidUs: before } });
    expect(outcome(layottoGet(filter))).toBe('asked');
    // A clock that cannot be this machine's says nothing of the way.
    for (const saidUs of [microseconds() + 10_000n, 5n]) {
      filter.advance(3);
      push(filter, { freshness: { ...said, answers: [1], saidUs } });
      expect(ageOf(layottoGet(filter))).toBe('1');
    }
  });

  test('take no more room than they may', async () => {
    const filter = await live(65_536);
    const request = (i: number): GetRequest => ({ storeName: 'configs', keys: [`k${i}`] });
    for (let i = 0; i < 200; i++) tell(filter, 'x'.repeat(1_000), { id: i + 1, request: request(i) });
    filter.advance(1_000);
    expect(filter.host.metric('layotto_live_bytes')).toBeLessThanOrEqual(65_536);
    expect(filter.host.metric('layotto_live_bytes')).toBeGreaterThan(32_768);
    expect(outcome(layottoGet(filter, request(199)))).not.toBe('asked');
    tell(filter, 'x'.repeat(70_000), { id: 999 });
    expect(outcome(layottoGet(filter))).toBe('asked');
  });

  test('are forgotten when a push cannot be read; pushes about others are passed over', async () => {
    const filter = await live();
    tell(filter, 'v');
    const response = responseMessage([]);
    for (const said of [
      { primitive: 'configuration', component: 'plain' },
      { primitive: 'state', component: 'configs' },
    ]) {
      push(filter, { answer: { ...said, id: 9, request: getMessage(REQUEST), response } });
    }
    expect(outcome(layottoGet(filter))).toBe('v');
    filter.bridge.send(filter.bridge.session(false), { kind: Kind.PUSH, payload: Buffer.from([0x12, 0x7f]) });
    expect(outcome(layottoGet(filter))).toBe('asked');
  });
});
