import { create, toBinary } from '@bufbuild/protobuf';

import * as lock from '../../gen/layotto/bridge/v1/lock_pb.js';
import * as sequencer from '../../gen/layotto/bridge/v1/sequencer_pb.js';
import * as state from '../../gen/layotto/bridge/v1/state_pb.js';
import { Call } from '../call.js';
import { decode } from '../decode.js';
import { Code, OperationError } from '../errors.js';
import type { Handler, Service } from '../handler.js';
import { JsonService } from './service.js';

function noTopics(): never {
  throw new Error('there are no topics');
}

const NO_BYTES = new Uint8Array(0);

/** A service of one method. */
function serviceOf(method: string, handler: Handler): Service {
  const [name = ''] = method.split('/');
  return { name, handlers: new Map([[method, handler]]) };
}

async function call(
  method: string,
  handler: Handler,
  json: string | Uint8Array,
  messageBytes = 4_096,
): Promise<unknown> {
  const service = new JsonService({
    services: [serviceOf(method, handler)],
    messageBytes,
    openApiParts: () => [],
    topics: noTopics,
  });
  const name = [...service.handlers.keys()].find((key) => !key.endsWith('Api')) ?? '';
  const payload = Buffer.from(json);
  const answer = service.handlers.get(name)?.(payload, new Call(name, '', 0));
  // What was lent may be used again as soon as the handler has returned.
  payload.fill(0);
  return JSON.parse(Buffer.from((await answer) ?? NO_BYTES).toString()) as unknown;
}

const SAVE = 'layotto.bridge.v1.State/SaveState';
const GET = 'layotto.bridge.v1.State/GetState';

describe('JSON becomes the message, and the answer JSON', () => {
  test('bytes are base64, and names may be those of the .proto file', async () => {
    let request: state.SaveStateRequest | undefined;
    const answer = await call(
      SAVE,
      async (payload) => {
        request = decode(state.SaveStateRequestSchema, payload);
        return NO_BYTES;
      },
      `{"store_name": "s", "states": [{"key": "k", "value": "aGk", "etag": {"value": "1"},
        "metadata": {"ttlInSeconds": "5"}, "options": {"concurrency": "CONCURRENCY_FIRST_WRITE", "consistency": 2}}]}`,
    );
    expect(answer).toEqual({});
    expect(request).toMatchObject({
      storeName: 's',
      states: [{ key: 'k', metadata: { ttlInSeconds: '5' } }],
    });
    const [item] = request?.states ?? [];
    expect(Buffer.from(item?.value ?? NO_BYTES).toString()).toBe('hi');
    expect(item?.options).toMatchObject({ concurrency: 1, consistency: 2 });
  });

  test('64-bit numbers are strings, enums are names', async () => {
    const id = async (): Promise<Uint8Array> =>
      toBinary(
        sequencer.GetNextIdResponseSchema,
        create(sequencer.GetNextIdResponseSchema, { nextId: '9223372036854775807' }),
      );
    expect(await call('layotto.bridge.v1.Sequencer/GetNextId', id, '{"storeName":"s"}')).toEqual({
      nextId: '9223372036854775807',
    });
    const unlock = async (): Promise<Uint8Array> =>
      toBinary(
        lock.UnlockResponseSchema,
        create(lock.UnlockResponseSchema, { status: lock.LockStatus.BELONG_TO_OTHERS }),
      );
    expect(await call('layotto.bridge.v1.Lock/Unlock', unlock, '{}')).toEqual({
      status: 'LOCK_STATUS_BELONG_TO_OTHERS',
    });
  });

  test('the handler is the one of the method, with the same call', async () => {
    const calls: Call[] = [];
    const handler: Handler = async (_, { method }) => {
      calls.push(new Call(method, '', 0));
      throw new OperationError(Code.NOT_FOUND, 'no');
    };
    await expect(call(GET, handler, '{}')).rejects.toMatchObject({ code: Code.NOT_FOUND, message: 'no' });
    expect(calls.map(({ method }) => method)).toEqual(['layotto.bridge.v1.Json/State.GetState']);
  });
});

describe('what is refused', () => {
  const never: Handler = async () => {
    throw new Error('the handler was asked');
  };

  test.each([
    ['an unknown name', '{"storeName":"s","stre":1}', /"stre" is unknown/],
    ['a name twice', '{"key":"a","key":"b"}', /key/],
    [
      'a name twice, by both spellings',
      '{"storeName":"a","store_name":"b"}',
      /store_name.*set multiple times/,
    ],
    ['a name twice, once escaped', '{"key":"a","k\\u0065y":"b"}', /key/],
    ['an entry of a map twice', '{"metadata":{"a":"1","a":"2"}}', /a/],
    ['a value of another kind', '{"key":1}', /GetStateRequest.key.*expected string/],
    ['a number too large', '{"consistency":1e999}', /enum Consistency.*Infinity/],
    ['an enum that does not exist', '{"consistency":"SOON"}', /enum Consistency.*SOON/],
    ['no object', '[]', /GetStateRequest/],
    ['no JSON', '{"key":', /JSON/],
    ['more after it', '{} {}', /JSON/],
    ['a lone surrogate', '{"key":"\\ud800"}', /./],
    ['nesting without end', `{"metadata":${'{"a":'.repeat(100_000)}`, /./],
    ['lists without end', '['.repeat(200_000) + ']'.repeat(200_000), /./],
    ['bytes that are not UTF-8', Buffer.from('{"key":"\xff"}', 'latin1'), /not UTF-8/],
    ['a byte order mark', '\ufeff{}', /JSON/],
  ])('%s', async (_, json, message) => {
    const failure = await call(GET, never, json).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(OperationError);
    expect(failure).toMatchObject({ code: Code.INVALID_ARGUMENT });
    expect((failure as Error).message).toMatch(message);
    expect((failure as Error).message).not.toContain('layotto.bridge');
  });

  test('bytes that are no base64', async () => {
    await expect(call(SAVE, never, '{"states":[{"value":"*"}]}')).rejects.toMatchObject({
      code: Code.INVALID_ARGUMENT,
      message: expect.stringContaining('value') as string,
    });
  });

  test('a method that is not for apps', async () => {
    await expect(call('layotto.bridge.v1.Sequencer/GetSegment', never, '{}')).rejects.toMatchObject({
      code: Code.UNIMPLEMENTED,
    });
  });

  test('an answer that is too long as JSON, though it was not as a message', async () => {
    const data = Buffer.alloc(3_500);
    const long = async (): Promise<Uint8Array> =>
      toBinary(state.GetStateResponseSchema, create(state.GetStateResponseSchema, { data }));
    await expect(call(GET, long, '{}')).rejects.toMatchObject({
      code: Code.RESOURCE_EXHAUSTED,
      message: expect.stringMatching(/has 4\d\d\d bytes as JSON; limits.message is 4096 bytes/) as string,
    });
  });
});

test('the description of the HTTP doors is JSON', async () => {
  const service = new JsonService({
    services: [],
    messageBytes: 1_048_576,
    openApiParts: () => [],
    topics: noTopics,
  });
  const answer = await service.handlers.get('layotto.bridge.v1.Json/OpenApi')?.(
    NO_BYTES,
    new Call('', '', 0),
  );
  expect(JSON.parse(Buffer.from(answer ?? NO_BYTES).toString())).toMatchObject({ openapi: '3.1.0' });
});
