import { GetStateResponseSchema } from '../../components-bridge/src/gen/layotto/bridge/v1/state_pb.js';
import type { PluginComponent } from '../../envoy/plugin-config.js';
import { Kind } from '../support/frames.js';
import { described } from '../support/openapi.js';
import { configuration, Filter } from './harness.js';
import type { HttpStream } from '../../cli/src/emulator/http-stream.js';

const MIB = 1024 * 1024;
const GET = '/v1.0-layotto/state/GetState';
const SAVE = '/v1.0-layotto/state/SaveState';
const STORE: PluginComponent = configuration().components[0] as PluginComponent;

const connected = (): Promise<Filter> => Filter.connected();

function answered(stream: HttpStream): { status: number | undefined; type?: string; json: unknown } {
  const { answer } = stream;
  const type = answer?.headers.object()['content-type'];
  return {
    status: answer?.status,
    ...(type === undefined ? {} : { type }),
    json: JSON.parse(answer?.body.toString() || 'null') as unknown,
  };
}

function refused(stream: HttpStream, status: number, errorCode: string, message: string | RegExp): void {
  expect(answered(stream)).toEqual({
    status,
    type: 'application/json',
    json: {
      errorCode,
      message: typeof message === 'string' ? message : (expect.stringMatching(message) as string),
    },
  });
}

/** Answers the newest request with this text. */
function reply({ bridge }: Filter, text: string): void {
  const { stream, frame } = bridge.lastRequest();
  bridge.send(stream, { id: frame.id, kind: Kind.RESULT, payload: Buffer.from(text) });
}

describe('an operation', () => {
  test('goes to the bridge as it came, and its answer comes back as it is', async () => {
    const filter = await connected();
    const body = '{ "storeName": "statestore", "key":"k" }\n';
    const stream = filter.http('POST', GET, body);
    const { frame } = filter.bridge.lastRequest();
    expect(frame.method).toBe('layotto.bridge.v1.Json/State.GetState');
    expect(Buffer.from(frame.payload).toString()).toBe(body);
    reply(filter, '{"data":"aGk="}');
    expect(answered(stream)).toEqual({
      status: 200,
      type: 'application/json',
      json: { data: 'aGk=' },
    });
  });

  test.each([
    ['the name of the .proto file', '{"store_name":"statestore"}'],
    ['an escaped name', '{"store\\u004eame":"statestore"}'],
    ['an escaped value', '{"storeName":"state\\u0073tore"}'],
    [
      'a value after what is passed over',
      '{"metadata":{"storeName":"x"},"key":"{\\"}","storeName":"statestore"}',
    ],
  ])('finds its component by %s', async (_, body) => {
    const filter = await connected();
    expect(filter.http('POST', GET, body).answer).toBeUndefined();
    expect(filter.bridge.requests()).toHaveLength(1);
  });

  test.each([
    [3, 400, 'INVALID_ARGUMENT'],
    [4, 408, 'DEADLINE_EXCEEDED'],
    [5, 404, 'NOT_FOUND'],
    [7, 403, 'PERMISSION_DENIED'],
    [8, 429, 'RESOURCE_EXHAUSTED'],
    [9, 400, 'FAILED_PRECONDITION'],
    [10, 409, 'ABORTED'],
    [12, 501, 'UNIMPLEMENTED'],
    [13, 500, 'INTERNAL'],
    [14, 503, 'UNAVAILABLE'],
  ])('that fails with code %p is answered %p %s', async (code, status, name) => {
    const filter = await connected();
    const stream = filter.http('POST', GET, '{"storeName":"statestore"}');
    filter.bridge.failure(filter.bridge.lastRequest(), code, 'it says "no"');
    refused(stream, status, name, 'it says "no"');
  });

  test.each([
    [GET, true],
    [SAVE, false],
  ])('%s is sent once more when a session is lost: %p', async (path, again) => {
    const filter = await connected();
    const stream = filter.http('POST', path, '{"storeName":"statestore"}');
    filter.bridge.close();
    if (!again) {
      refused(stream, 503, 'UNAVAILABLE', /./);
      return;
    }
    filter.connect();
    filter.advance(100);
    expect(Buffer.from(filter.bridge.lastRequest().frame.payload).toString()).toContain('statestore');
    reply(filter, '{}');
    expect(answered(stream)).toMatchObject({ status: 200, json: {} });
  });

  test('of the lifecycle names no component that the filter knows', async () => {
    const filter = await connected();
    const path = '/v1.0-layotto/lifecycle/ApplyConfiguration';
    expect(filter.http('POST', path, '{"componentConfig":{}}').answer).toBeUndefined();
    refused(
      filter.http('POST', path, '[]'),
      400,
      'INVALID_ARGUMENT',
      'the request body is not a JSON object',
    );
    refused(filter.http('POST', path, '{"a":}'), 400, 'INVALID_ARGUMENT', /invalid character/);
  });
});

type Refusal = [title: string, body: string, code: string, message: string | RegExp];

describe('what the filter refuses by itself', () => {
  test.each(
    [
      ['{"storeName":"nope"}', 'INVALID_ARGUMENT', 'storeName: there is no state component "nope"'],
      ['{"storeName":"no\\"pe\\n"}', 'INVALID_ARGUMENT', 'storeName: there is no state component "no"pe\n"'],
      ['{"storeName":"\\ud800"}', 'INVALID_ARGUMENT', 'storeName: there is no state component "\ufffd"'],
      ['{}', 'INVALID_ARGUMENT', 'storeName is missing: it names the state component'],
      ['{"storeName":null}', 'INVALID_ARGUMENT', 'storeName is missing: it names the state component'],
      ['{"storeName":1}', 'INVALID_ARGUMENT', 'storeName is not a string'],
      ['{"storeName":["statestore"]}', 'INVALID_ARGUMENT', 'storeName is not a string'],
      [
        '{"storeName":"statestore","storeName":"other"}',
        'INVALID_ARGUMENT',
        'storeName is set more than once',
      ],
      [
        '{"storeName":"statestore","store_name":"other"}',
        'INVALID_ARGUMENT',
        'storeName is set more than once',
      ],
      ['', 'INVALID_ARGUMENT', 'the request body is empty: it must be a JSON object'],
      ['[]', 'INVALID_ARGUMENT', 'the request body is not a JSON object'],
      ['"statestore"', 'INVALID_ARGUMENT', 'the request body is not a JSON object'],
      ['null', 'INVALID_ARGUMENT', 'the request body is not a JSON object'],
      ['{"storeName":"statestore"} x', 'INVALID_ARGUMENT', 'something follows the JSON of the request'],
      [
        '{"storeName":"statestore"',
        'INVALID_ARGUMENT',
        /^the request body is not JSON: unexpected EOF, at byte 25$/,
      ],
      ['{"storeName":"statestore","key":tru}', 'INVALID_ARGUMENT', /not JSON: invalid character '}'/],
      ['\ufeff{"storeName":"statestore"}', 'INVALID_ARGUMENT', /not JSON: invalid character/],
      ['{"storeName":"statestore","key":NaN}', 'INVALID_ARGUMENT', /not JSON/],
      ['{"storeName":"statestore","key":0x10}', 'INVALID_ARGUMENT', /not JSON/],
      [`{"storeName":"statestore","a":${'['.repeat(100_000)}`, 'INVALID_ARGUMENT', /exceeded max depth/],
      [`{"storeName":"statestore","a":${'{"a":'.repeat(100_000)}`, 'INVALID_ARGUMENT', /exceeded max depth/],
    ].map(([body, ...rest]) => [(body as string).slice(0, 60), body, ...rest] as Refusal),
  )('%s', async (_, body, code, message) => {
    const filter = await connected();
    refused(filter.http('POST', GET, body), 400, code, message);
    expect(filter.bridge.requests()).toEqual([]);
  });

  test('bytes that are not UTF-8', async () => {
    const filter = await connected();
    const stream = filter.host
      .openStream(filter.root)
      .request(
        { ':method': 'POST', ':path': GET, ':scheme': 'http', ':authority': 'localhost' },
        Buffer.from('{"storeName":"statestore","key":"\xff"}', 'latin1'),
      );
    refused(stream, 400, 'INVALID_ARGUMENT', 'the request body is not UTF-8');
  });

  test.each([
    ['items', `{"storeName":"statestore","states":[${Array(1_000_000).fill('{}').join()}]}`],
    ['members', `{"storeName":"statestore","metadata":{${Array(400_000).fill('"":""').join()}}}`],
  ])('more %s than there may be', async (_, body) => {
    const filter = await connected();
    const before = filter.host.memoryBytes;
    refused(
      filter.http('POST', GET, body),
      400,
      'INVALID_ARGUMENT',
      'the request has more than 131072 items and members',
    );
    expect(filter.host.memoryBytes - before).toBeLessThan(16 * MIB);
  });

  test('a primitive of which no component is configured', async () => {
    const filter = await Filter.connected({ components: [] });
    refused(
      filter.http('POST', GET, '{"storeName":"x"}'),
      400,
      'FAILED_PRECONDITION',
      'no state component is configured',
    );
  });

  test('what is no operation, another method, and what is too long', async () => {
    const filter = await connected();
    const tells = /^there is no operation .*; GET \/v1\.0-layotto\/openapi\.json tells what there is$/;
    for (const path of ['state/getstate', 'state/GetState/', 'state', '', 'sequencer/GetSegment', 'a/b/c']) {
      refused(filter.http('POST', `/v1.0-layotto/${path}`, '{}'), 404, 'NOT_FOUND', tells);
    }
    const get = filter.http('GET', GET);
    refused(get, 405, 'UNIMPLEMENTED', 'the method must be POST');
    expect(get.answer?.headers.get('allow')).toBe('POST');
    const long = `{"storeName":"statestore","key":"${'k'.repeat(4 * MIB)}"}`;
    refused(filter.http('POST', GET, long), 413, 'RESOURCE_EXHAUSTED', /limits\.message is 4194304 bytes/);
  });

  test('callers that may not call', async () => {
    const filter = await connected();
    const stream = filter.http('POST', GET, '{}', { origin: 'http://evil' });
    refused(stream, 403, 'PERMISSION_DENIED', /Origin/);
    const digest = 'f'.repeat(64);
    const locked = await Filter.connected({ tokens: [digest] });
    refused(locked.http('POST', GET, '{}'), 401, 'UNAUTHENTICATED', 'Unauthorized');
  });
});

describe('a component that is named further in', () => {
  const PATH = '/v1.0-layotto/file/ListFile';
  const files = { ...STORE, name: 'files', type: 'file.local', primitive: 'file' };

  test.each([
    '{"request":{"storeName":"files"}}',
    '{"pageSize":1,"request":{"name":"x","store_name":"files"}}',
  ])('is found: %s', async (body) => {
    const filter = await Filter.connected({ components: [files] });
    expect(filter.http('POST', PATH, body).answer).toBeUndefined();
    expect(filter.bridge.requests()).toHaveLength(1);
  });

  test.each([
    ['{}', 'request.storeName is missing: it names the file component'],
    ['{"storeName":"files"}', 'request.storeName is missing: it names the file component'],
    ['{"request":{}}', 'request.storeName is missing: it names the file component'],
    ['{"request":null}', 'request.storeName is not there'],
    ['{"request":[]}', 'request.storeName is not there'],
    ['{"request":{"storeName":"nope"}}', 'request.storeName: there is no file component "nope"'],
    ['{"request":{"storeName":"files"},"request":{}}', 'request.storeName is set more than once'],
    ['{"request":{"storeName":"files","store_name":"x"}}', 'request.storeName is set more than once'],
  ])('is missed: %s', async (body, message) => {
    const filter = await Filter.connected({ components: [files] });
    refused(filter.http('POST', PATH, body), 400, 'INVALID_ARGUMENT', message);
    expect(filter.bridge.requests()).toEqual([]);
  });
});

describe('answers kept in Envoy', () => {
  const near = (): Promise<Filter> => Filter.connected({ components: [{ ...STORE, nearCacheMs: 5_000 }] });

  /** Reads a key through the bridge. */
  function fill(filter: Filter, key: string): void {
    filter.getState(key);
    filter.bridge.result(filter.bridge.lastRequest(), GetStateResponseSchema, { data: Buffer.from('1') });
    expect(filter.getState(key).answer).toBeDefined();
  }

  test.each([
    ['SaveState', '{"storeName":"statestore","states":[{"key":"a"},{"key":"k","value":"Mg=="}]}'],
    ['SaveState', '{"states":[{"k\\u0065y":"\\u006b"}],"store_name":"statestore"}'],
    ['DeleteState', '{"storeName":"statestore","key":"k"}'],
    ['DeleteBulkState', '{"storeName":"statestore","states":[{"key":"k"}]}'],
    [
      'ExecuteStateTransaction',
      '{"storeName":"statestore","operations":[{"operationType":"delete","request":{"key":"k"}}]}',
    ],
  ])('are not given any more after %s %s', async (method, body) => {
    const filter = await near();
    fill(filter, 'k');
    fill(filter, 'other');
    const stream = filter.http('POST', `/v1.0-layotto/state/${method}`, body);
    reply(filter, '{}');
    expect(answered(stream)).toMatchObject({ status: 200 });
    expect(filter.getState('k').answer).toBeUndefined();
    expect(filter.getState('other').answer).toBeDefined();
  });
});

test('calls count as what they call', async () => {
  const filter = await connected();
  filter.http('POST', GET, '{"storeName":"statestore"}');
  reply(filter, '{}');
  filter.http('POST', SAVE, '{"storeName":"nope"}');
  filter.http('POST', '/v1.0-layotto/x/y', '{}');
  filter.advance(200);
  const names = [...filter.host.metrics.values()].map(({ name }) => name).join('\n');
  expect(names).toMatch(/primitive=state;operation=GetState;component=statestore;door=json/);
  expect(names).toMatch(/primitive=state;operation=SaveState;component=unknown;door=json/);
  expect(names).toMatch(/primitive=unknown;operation=unknown/);
  expect(names).not.toMatch(/nope/);
});

test.each([
  ['openapi', 'OpenApi'],
  ['asyncapi', 'AsyncApi'],
])('GET %s.json asks the bridge', async (name, method) => {
  const filter = await connected();
  const stream = filter.http('GET', `/v1.0-layotto/${name}.json`);
  expect(filter.bridge.lastRequest().frame.method).toBe(`layotto.bridge.v1.Json/${method}`);
  reply(filter, '{"version":"3"}');
  expect(answered(stream)).toMatchObject({ status: 200, json: { version: '3' } });
  expect(filter.http('POST', `/v1.0-layotto/${name}.json`, '{}').answer?.status).toBe(405);
});

test('every operation that the document describes is served', async () => {
  const filter = await Filter.connected({ components: [] });
  const operations = described().filter(({ path }) => path.startsWith('/v1.0-layotto/'));
  expect(operations.length).toBeGreaterThan(20);
  for (const { path, method } of operations) {
    // Refused for want of a component, or sent to the bridge.
    const status = filter.http(method, path, method === 'GET' ? undefined : '{}').answer?.status;
    expect([path, [undefined, 400].includes(status)]).toEqual([path, true]);
  }
});

test('an operation that may be performed twice without harm is asked once more, as behind the other doors', async () => {
  const filter = await Filter.connected({
    components: [{ ...STORE, name: 'lockstore', type: 'lock.redis', primitive: 'lock' }],
  });
  const stream = filter.http('POST', '/v1.0-layotto/lock/LockKeepAlive', '{"storeName":"lockstore"}');
  filter.bridge.close();
  filter.connect();
  filter.advance(100);
  reply(filter, '{}');
  expect(answered(stream)).toMatchObject({ status: 200 });
});
