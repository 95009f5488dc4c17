import type { PluginComponent } from '../../envoy/plugin-config.js';
import { Kind } from '../support/frames.js';
import { configuration, Filter } from './harness.js';
import type { HttpStream } from './http-stream.js';

const component = (primitive: string, name: string): PluginComponent => ({
  name,
  type: `${primitive}.redis`,
  version: 'v1',
  primitive,
  capabilities: [],
});
const connected = (): Promise<Filter> =>
  Filter.connected({
    components: [component('state', 'statestore'), component('file', 'files'), component('hello', 'hi')],
  });

const GET = '/v1.0-layotto/state/GetState';
const SAVE = '/v1.0-layotto/state/SaveState';

function json(stream: HttpStream): unknown {
  expect(stream.answer?.headers.get('content-type')).toBe('application/json');
  return JSON.parse(stream.answer?.body.toString() ?? '');
}

/** Answers the newest request with bytes. */
function answer(filter: Filter, text: string): void {
  const { stream, frame } = filter.bridge.lastRequest();
  filter.bridge.send(stream, { id: frame.id, kind: Kind.RESULT, payload: Buffer.from(text) });
}

describe('the JSON door', () => {
  test.each([
    ['state', 'GetState', '{"key":"k","storeName":"statestore"}'],
    ['state', 'GetState', ' {"store_name" : "statestore", "x":[{"storeName":"other"}]} '],
    ['state', 'SaveState', '{"store\\u004eame":"state\\u0073tore","states":[]}'],
    ['file', 'ListFile', '{"storeName":"ignored","request":{"name":"a","storeName":"files"}}'],
    ['hello', 'SayHello', '{"serviceName":"hi"}'],
  ])('sends %s/%s on as it came: %s', async (primitive, method, body) => {
    const filter = await connected();
    const stream = filter.http('POST', `/v1.0-layotto/${primitive}/${method}`, body);
    const { frame } = filter.bridge.lastRequest();
    const service = { state: 'State', file: 'File', hello: 'Hellos' }[primitive];
    expect(frame.method).toBe(`layotto.bridge.v1.${service}/${method}+json`);
    expect(Buffer.from(frame.payload).toString()).toBe(body);
    answer(filter, '{"data":"YQ=="}');
    expect(stream.answer?.status).toBe(200);
    expect(json(stream)).toEqual({ data: 'YQ==' });
  });

  test.each([
    [GET, undefined, 'expected a JSON object, found no body'],
    [GET, '', 'expected a JSON object, found no body'],
    [GET, '[]', 'expected a JSON object, found another value'],
    [GET, '"storeName"', 'expected a JSON object, found another value'],
    [GET, '{"storeName":"statestore"', 'unexpected EOF'],
    [GET, '{"storeName":"statestore"} x', 'expected one JSON object, found more behind it'],
    [GET, '{}', 'expected the name of a component in storeName, found none'],
    [GET, '{"storeName":7}', 'expected the name of a component in storeName, found none'],
    [GET, '{"storeName":"nope"}', 'state component nope is not found'],
    [GET, '{"storeName":"files"}', 'state component files is not found'],
    [GET, '{"storeName":"statestore","store_name":"other"}', 'the component is named more than once'],
    [
      '/v1.0-layotto/file/DelFile',
      '{"request":[]}',
      'expected the name of a component in request.storeName, found none',
    ],
  ])('refuses %s %p', async (path, body, message) => {
    const filter = await connected();
    const stream = filter.http('POST', path, body);
    expect(stream.answer?.status).toBe(400);
    expect(json(stream)).toEqual({ errorCode: 'ERR_INVALID_ARGUMENT', message });
    expect(filter.bridge.requests()).toHaveLength(0);
  });

  test('survives what is nested without end', async () => {
    const filter = await connected();
    const stream = filter.http('POST', GET, `{"x":${'['.repeat(200_000)}`);
    expect(stream.answer?.status).toBe(400);
    expect(filter.getState('k').answer).toBeUndefined();
  });

  test.each([
    [3, 400, 'ERR_INVALID_ARGUMENT'],
    [5, 404, 'ERR_NOT_FOUND'],
    [7, 403, 'ERR_PERMISSION_DENIED'],
    [10, 409, 'ERR_ABORTED'],
    [13, 500, 'ERR_INTERNAL'],
    [14, 503, 'ERR_UNAVAILABLE'],
  ])('spells the code %i as %i %s', async (code, status, errorCode) => {
    const filter = await connected();
    const stream = filter.http('POST', SAVE, '{"storeName":"statestore"}');
    filter.bridge.failure(filter.bridge.lastRequest(), code, 'because');
    expect(stream.answer?.status).toBe(status);
    expect(json(stream)).toEqual({ errorCode, message: 'because' });
  });

  test.each([
    ['GET', GET],
    ['POST', '/v1.0-layotto/state/Nope'],
    ['POST', '/v1.0-layotto/sequencer/GetSegment'],
    ['POST', '/v1.0-layotto/state'],
    ['POST', '/v1.0-layotto/actuator/SetLogLevel'],
  ])('%s %s is not there', async (method, path) => {
    const stream = (await connected()).http(method, path, '{}');
    expect(stream.answer?.status).toBe(404);
    expect(json(stream)).toMatchObject({ errorCode: 'ERR_NOT_FOUND' });
  });

  test('sends reads once more when the session breaks, and no writes', async () => {
    const filter = await connected();
    const read = filter.http('POST', GET, '{"storeName":"statestore"}');
    const write = filter.http('POST', SAVE, '{"storeName":"statestore"}');
    filter.bridge.close();
    expect(write.answer?.status).toBe(503);
    expect(read.answer).toBeUndefined();
    filter.connect();
    answer(filter, '{}');
    expect(read.answer?.status).toBe(200);
  });

  test('holds the limit of messages', async () => {
    const limits = { ...configuration().limits, messageBytes: 1024 };
    const filter = await Filter.connected({ limits });
    const stream = filter.http('POST', GET, `{"storeName":"${'x'.repeat(1024)}"}`);
    expect(stream.answer?.status).toBe(400);
    expect(stream.answer?.body.toString()).toContain('limits.message is 1024 bytes');
    const asked = filter.http('POST', GET, '{"storeName":"statestore"}');
    answer(filter, JSON.stringify({ data: 'x'.repeat(2048) }));
    expect(asked.answer?.status).toBe(429);
  });

  test('a write makes every thread forget what it keeps of that component', async () => {
    const cached = { ...component('state', 'statestore'), nearCacheMs: 5_000 };
    const filter = await Filter.connected({ components: [cached] });
    const first = filter.getState('k');
    filter.bridge.send(filter.bridge.lastRequest().stream, {
      id: filter.bridge.lastRequest().frame.id,
      kind: Kind.RESULT,
      payload: Buffer.from('0a0161', 'hex'),
    });
    expect(first.answer?.grpcStatus).toBe(0);
    const asked = filter.bridge.requests().length;
    expect(filter.getState('k').answer?.grpcStatus).toBe(0);
    expect(filter.bridge.requests()).toHaveLength(asked);
    filter.http('POST', SAVE, '{"storeName":"statestore","states":[{"key":"k"}]}');
    answer(filter, '{}');
    expect(filter.getState('k').answer).toBeUndefined();
    expect(filter.bridge.requests()).toHaveLength(asked + 2);
  });

  test('asks the bridge for the document', async () => {
    const filter = await connected();
    const stream = filter.http('GET', '/v1.0-layotto/openapi.json');
    expect(filter.bridge.lastRequest().frame.method).toBe('layotto.bridge.v1.Json/GetOpenApi');
    answer(filter, '{"openapi":"3.1.0"}');
    expect(json(stream)).toEqual({ openapi: '3.1.0' });
  });
});
