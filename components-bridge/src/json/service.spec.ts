import { create, fromBinary, toBinary } from '@bufbuild/protobuf';

import * as lock from '../gen/layotto/bridge/v1/lock_pb.js';
import * as sequencer from '../gen/layotto/bridge/v1/sequencer_pb.js';
import * as state from '../gen/layotto/bridge/v1/state_pb.js';
import { Call } from '../primitives/call.js';
import { Code, OperationError } from '../primitives/errors.js';
import type { Handler } from '../primitives/handler.js';
import { JSON_METHODS } from './gen/json-methods.js';
import { JsonService } from './service.js';

const bytes = (text: string): Uint8Array => Buffer.from(text);

/** Calls a method as JSON; the handler behind it is given. */
async function call(method: string, request: Uint8Array, handler: Handler): Promise<unknown> {
  const service = new JsonService([{ name: 'any', handlers: new Map([[method, handler]]) }]);
  const found = service.handlers.get(`${method}+json`);
  if (found === undefined) throw new Error(`${method} cannot be called as JSON`);
  return JSON.parse(Buffer.from(await found(request, new Call(method, '', 0))).toString());
}

const SAVE = 'layotto.bridge.v1.State/SaveState';
const GET = 'layotto.bridge.v1.State/GetState';
const nothing: Handler = async () => new Uint8Array(0);

async function refusal(request: Uint8Array, method = SAVE): Promise<string> {
  const failure: unknown = await call(method, request, nothing).then(
    () => undefined,
    (error: unknown) => error,
  );
  if (!(failure instanceof OperationError)) throw new Error(`not refused: ${String(failure)}`);
  expect(failure.code).toBe(Code.INVALID_ARGUMENT);
  return failure.message;
}

describe('JsonService', () => {
  it('hands on the message, in either spelling of its fields, with bytes as base64', async () => {
    const seen: unknown[] = [];
    const handler: Handler = async (payload) => {
      seen.push(fromBinary(state.SaveStateRequestSchema, payload));
      return new Uint8Array(0);
    };
    const item = '{"key":"k","value":"AP8=","options":{"concurrency":"CONCURRENCY_FIRST_WRITE"}}';
    for (const store of ['storeName', 'store_name'])
      expect(await call(SAVE, bytes(`{"${store}":"s","states":[${item}]}`), handler)).toEqual({});
    expect(seen[0]).toEqual(seen[1]);
    expect(seen[0]).toMatchObject({
      storeName: 's',
      states: [{ key: 'k', value: Buffer.from([0, 255]), options: { concurrency: 1 } }],
    });
  });

  it('gives every field of the answer, 64-bit numbers as texts and enums by name', async () => {
    const next: Handler = async () =>
      toBinary(
        sequencer.GetNextIdResponseSchema,
        create(sequencer.GetNextIdResponseSchema, { nextId: '1152921504606846976' }),
      );
    expect(await call('layotto.bridge.v1.Sequencer/GetNextId', bytes('{}'), next)).toEqual({
      nextId: '1152921504606846976',
    });
    expect(await call(GET, bytes('{}'), nothing)).toEqual({ data: '', etag: '', metadata: {} });
    const { UNEXIST } = lock.LockStatus;
    const unlock: Handler = async () =>
      toBinary(lock.UnlockResponseSchema, create(lock.UnlockResponseSchema, { status: UNEXIST }));
    expect(await call('layotto.bridge.v1.Lock/Unlock', bytes('{}'), unlock)).toEqual({
      status: 'LOCK_STATUS_UNEXIST',
    });
  });

  it.each([
    [Buffer.from([0x7b, 0xff]), /^expected UTF-8 JSON: /],
    [bytes('{"key"'), /^expected UTF-8 JSON: /],
    [bytes(''), /^expected UTF-8 JSON: /],
    [bytes('[]'), /^cannot decode message SaveStateRequest from JSON/],
    [bytes('{"nope":1}'), /message SaveStateRequest .*key "nope" is unknown; known: storeName, states$/],
    [bytes('{"__proto__":1}'), /key "__proto__" is unknown; known: storeName, states$/],
    [bytes('{"states":[{"etag":{"v":1}}]}'), /message Etag .*key "v" is unknown; known: value$/],
    [bytes('{"storeName":7}'), /SaveStateRequest\.store_name from JSON: expected string, got 7/],
    [bytes('{"states":[{"value":"no base64!"}]}'), /StateItem\.value from JSON: invalid base64/],
  ])('says what is wrong with %p', async (request, message) => {
    expect(await refusal(request)).toMatch(message);
  });

  it('hands on what the method says of a failure', async () => {
    const fails: Handler = async () => {
      throw new OperationError(Code.NOT_FOUND, 'gone');
    };
    await expect(call(GET, bytes('{}'), fails)).rejects.toThrow(new OperationError(Code.NOT_FOUND, 'gone'));
  });

  it('reads what it needs of the request before it waits for anything', async () => {
    const request = bytes('{"key":"k"}');
    let key = '';
    const handler: Handler = async (payload) => {
      ({ key } = fromBinary(state.GetStateRequestSchema, payload));
      return new Uint8Array(0);
    };
    const answer = call(GET, request, handler);
    request.fill(0x20);
    await answer;
    expect(key).toBe('k');
  });

  it('offers no method that is internal, and none that is not served', () => {
    const names = JSON_METHODS.map(({ parent, name }) => `${parent.name}/${name}`);
    expect(names.sort()).toEqual([
      'Binding/InvokeBinding',
      'Configuration/DeleteConfiguration',
      'Configuration/GetConfiguration',
      'Configuration/SaveConfiguration',
      'File/DelFile',
      'File/GetFileMeta',
      'File/ListFile',
      'Hellos/SayHello',
      'Lifecycle/ApplyConfiguration',
      'Lock/LockKeepAlive',
      'Lock/TryLock',
      'Lock/Unlock',
      'Secret/GetBulkSecret',
      'Secret/GetSecret',
      'Sequencer/GetNextId',
      'State/DeleteBulkState',
      'State/DeleteState',
      'State/ExecuteStateTransaction',
      'State/GetBulkState',
      'State/GetState',
      'State/SaveState',
    ]);
    expect([...new JsonService([]).handlers.keys()]).toEqual(['layotto.bridge.v1.Json/GetOpenApi']);
  });

  it('gives the OpenAPI document', async () => {
    const get = new JsonService([]).handlers.get('layotto.bridge.v1.Json/GetOpenApi');
    const document = await get?.(new Uint8Array(0), new Call('', '', 0));
    expect(JSON.parse(Buffer.from(document ?? []).toString())).toMatchObject({ openapi: '3.1.0' });
  });
});
