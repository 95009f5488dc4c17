import { create, fromBinary, toBinary } from '@bufbuild/protobuf';

import * as pb from '../../components-bridge/src/gen/layotto/bridge/v1/binding_pb.js';
import { ErrorInfoSchema, StatusSchema } from '../../components-bridge/src/gen/google/rpc/status_pb.js';
import type { PluginComponent } from '../../envoy/plugin-config.js';
import { Kind } from '../support/frames.js';
import { unframe } from '../support/grpc-raw.js';
import { Filter } from './harness.js';
import type { HttpStream } from '../../cli/src/emulator/http-stream.js';

const LAYOTTO = '/spec.proto.runtime.v1.Runtime/InvokeBinding';
const DAPR = '/dapr.proto.runtime.v1.Dapr/InvokeBinding';

const BINDING: PluginComponent = {
  name: 'out',
  type: 'bindings.http',
  version: 'v1',
  primitive: 'binding',
  capabilities: [],
};

const connected = (): Promise<Filter> => Filter.connected({ components: [BINDING] });

function message(name: string, operation: string, data = 'data'): Uint8Array {
  const request = { name, operation, data: Buffer.from(data), metadata: { path: 'x' } };
  return toBinary(pb.InvokeBindingRequestSchema, create(pb.InvokeBindingRequestSchema, request));
}

/** Answers a request with something that is no message. */
function unreadable({ bridge }: Filter): void {
  const { stream, frame } = bridge.lastRequest();
  bridge.send(stream, { id: frame.id, kind: Kind.RESULT, payload: Buffer.from('0a05', 'hex') });
}

function json(stream: HttpStream): unknown {
  return JSON.parse(stream.answer?.body.toString() ?? '');
}

/** The reasons of the error details. */
function reasons(stream: HttpStream): string[] {
  const details = stream.answer?.headers.object()['grpc-status-details-bin'];
  if (details === undefined) return [];
  return fromBinary(StatusSchema, Buffer.from(details, 'base64')).details.map(
    ({ value }) => fromBinary(ErrorInfoSchema, value).reason,
  );
}

describe.each([
  [LAYOTTO, 'error when invoke output binding ', [] as string[]],
  [DAPR, 'error invoking output binding ', ['ERR_INVOKE_OUTPUT_BINDING']],
])('%s', (path, prefix, details) => {
  test('goes out as it came, and its result comes back', async () => {
    const filter = await connected();
    const bytes = message('out', 'get');
    const stream = filter.grpc(path, bytes);
    const request = filter.bridge.lastRequest();
    expect(request.frame.method).toBe('layotto.bridge.v1.Binding/InvokeBinding');
    expect(Buffer.from(request.frame.payload)).toEqual(Buffer.from(bytes));
    const result = {
      data: Buffer.from('answer'),
      metadata: { statusCode: '200', 'Bad name\n': 'x', ok: 'a\nb' },
    };
    filter.bridge.result(request, pb.InvokeBindingResponseSchema, result);
    const [answer] = unframe(stream.answer?.body ?? Buffer.alloc(0));
    const decoded = fromBinary(pb.InvokeBindingResponseSchema, answer as Buffer);
    expect(Buffer.from(decoded.data).toString()).toBe('answer');
    expect(decoded.metadata).toEqual(result.metadata);
    const headers = Object.entries(stream.answer?.headers.object() ?? {});
    const sent = headers.filter(([name]) => name.startsWith('metadata.'));
    expect(sent).toEqual(path === DAPR ? [['metadata.statuscode', '200']] : []);
  });

  test.each([
    ['nope', 'get', "nope: couldn't find output binding nope"],
    ['out', '', 'out: operation field is missing from request'],
    ['nope', '', 'nope: operation field is missing from request'],
  ])('refuses binding %p with operation %p', async (name, operation, text) => {
    const filter = await connected();
    const stream = filter.grpc(path, message(name, operation));
    expect(stream.answer).toMatchObject({ grpcStatus: 13, grpcMessage: prefix + text });
    expect(reasons(stream)).toEqual(details);
    expect(filter.bridge.requests()).toEqual([]);
  });

  test('tells of a failure', async () => {
    const filter = await connected();
    const stream = filter.grpc(path, message('out', 'get'));
    filter.bridge.failure(filter.bridge.lastRequest(), 13, 'received status code 404');
    const grpcMessage = `${prefix}out: received status code 404`;
    expect(stream.answer).toMatchObject({ grpcStatus: 13, grpcMessage });
    expect(reasons(stream)).toEqual(details);
  });

  test('is not repeated when its session is lost', async () => {
    const filter = await connected();
    const stream = filter.grpc(path, message('out', 'get'));
    filter.bridge.close();
    expect(stream.answer).toMatchObject({ grpcStatus: 14 });
  });

  test('a message that cannot be decoded is INVALID_ARGUMENT', async () => {
    const stream = (await connected()).grpc(path, Buffer.from('0a05', 'hex'));
    expect(stream.answer?.grpcStatus).toBe(3);
  });
});

describe('Dapr HTTP', () => {
  test.each(['POST', 'PUT'])('%s: the body becomes the message, data as the JSON it was', async (method) => {
    const filter = await connected();
    const body =
      '{"Operation":"create","data":{"n":12345678901234567890, "s":"x"},"metadata":{"path":"a\\/b"},"x":1}';
    const stream = filter.http(method, '/v1.0/bindings/out', body);
    const request = filter.bridge.lastRequest();
    const sent = fromBinary(pb.InvokeBindingRequestSchema, request.frame.payload);
    expect(sent).toMatchObject({ name: 'out', operation: 'create', metadata: { path: 'a/b' } });
    expect(Buffer.from(sent.data).toString()).toBe('{"n":12345678901234567890, "s":"x"}');
    const result = { data: Buffer.from('{"ok":true}'), metadata: { statusCode: '201' } };
    filter.bridge.result(request, pb.InvokeBindingResponseSchema, result);
    expect(stream.answer).toMatchObject({ status: 200, body: Buffer.from('{"ok":true}') });
    expect(stream.answer?.headers.object()).toMatchObject({
      'content-type': 'application/json',
      'metadata.statuscode': '201',
    });
  });

  test('without data it is null, and an empty answer is 204', async () => {
    const filter = await connected();
    const stream = filter.http('POST', '/v1.0/bindings/out', '{"operation":"get"}');
    const request = filter.bridge.lastRequest();
    expect(
      Buffer.from(fromBinary(pb.InvokeBindingRequestSchema, request.frame.payload).data).toString(),
    ).toBe('null');
    filter.bridge.result(request, pb.InvokeBindingResponseSchema, { metadata: { a: 'b' } });
    expect(stream.answer).toMatchObject({ status: 204, body: Buffer.alloc(0) });
    expect(stream.answer?.headers.object()).toMatchObject({ 'metadata.a': 'b' });
  });

  test.each([
    ['', 'EOF'],
    ['{', 'unexpected EOF'],
    ['[]', 'json: cannot unmarshal array into Go value of type http.OutputBindingRequest'],
    [
      '{"operation":1}',
      'json: cannot unmarshal number into Go struct field OutputBindingRequest.operation of type string',
    ],
    [
      '{"operation":"get","metadata":{"a":1}}',
      'json: cannot unmarshal number into Go struct field OutputBindingRequest.metadata of type string',
    ],
  ])('a body that is %p is malformed', async (body, problem) => {
    const filter = await connected();
    const stream = filter.http('POST', '/v1.0/bindings/out', body);
    expect(stream.answer?.status).toBe(400);
    expect(json(stream)).toEqual({
      errorCode: 'ERR_MALFORMED_REQUEST',
      message: `failed deserializing HTTP body: ${problem}`,
    });
    expect(filter.bridge.requests()).toEqual([]);
  });

  test.each([
    ['nope', '{"operation":"get"}', "nope: couldn't find output binding nope"],
    ['out', '{}', 'out: operation field is missing from request'],
    ['out', 'null', 'out: operation field is missing from request'],
  ])('refuses %p with %p', async (name, body, text) => {
    const stream = (await connected()).http('POST', `/v1.0/bindings/${name}`, body);
    expect(stream.answer?.status).toBe(500);
    expect(json(stream)).toEqual({
      errorCode: 'ERR_INVOKE_OUTPUT_BINDING',
      message: `error invoking output binding ${text}`,
    });
  });

  test.each([
    [13, 500],
    [14, 503],
    [4, 408],
    [8, 429],
  ])('a failure with code %i is %i', async (code, status) => {
    const filter = await connected();
    const stream = filter.http('POST', '/v1.0/bindings/out', '{"operation":"get"}');
    filter.bridge.failure(filter.bridge.lastRequest(), code, 'why');
    expect(stream.answer?.status).toBe(status);
    expect(json(stream)).toEqual({
      errorCode: 'ERR_INVOKE_OUTPUT_BINDING',
      message: 'error invoking output binding out: why',
    });
  });

  test('an answer that is no message is said to be that', async () => {
    const filter = await connected();
    const stream = filter.http('POST', '/v1.0/bindings/out', '{"operation":"get"}');
    unreadable(filter);
    expect(stream.answer?.status).toBe(500);
  });
});
