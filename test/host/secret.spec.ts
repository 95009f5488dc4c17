import { create, fromBinary, toBinary } from '@bufbuild/protobuf';

import * as pb from '../../components-bridge/src/gen/layotto/bridge/v1/secret_pb.js';
import type { PluginComponent } from '../../envoy/plugin-config.js';
import { Kind } from '../support/frames.js';
import { unframe } from '../support/grpc-raw.js';
import { Filter } from './harness.js';
import type { HttpStream } from '../../cli/src/emulator/http-stream.js';

const LAYOTTO = '/spec.proto.runtime.v1.Runtime';
const DAPR = '/dapr.proto.runtime.v1.Dapr';

const STORE: PluginComponent = {
  name: 'secrets',
  type: 'secretstores.local.file',
  version: 'v1',
  primitive: 'secret',
  capabilities: [],
};

const connected = (): Promise<Filter> => Filter.connected({ components: [STORE] });

function getMessage(storeName: string, key: string): Uint8Array {
  return toBinary(pb.GetSecretRequestSchema, create(pb.GetSecretRequestSchema, { storeName, key }));
}

function bulkMessage(storeName: string): Uint8Array {
  return toBinary(pb.GetBulkSecretRequestSchema, create(pb.GetBulkSecretRequestSchema, { storeName }));
}

/** Answers a request with something that is no message. */
function unreadable({ bridge }: Filter): void {
  const { stream, frame } = bridge.lastRequest();
  bridge.send(stream, { id: frame.id, kind: Kind.RESULT, payload: Buffer.from('0a05', 'hex') });
}

function json(stream: HttpStream): unknown {
  return JSON.parse(stream.answer?.body.toString() ?? '');
}

describe.each([LAYOTTO, DAPR])('%s', (service) => {
  test('GetSecret goes out as it came, and its result comes back', async () => {
    const filter = await connected();
    const message = getMessage('secrets', 'k');
    const stream = filter.grpc(`${service}/GetSecret`, message);
    const request = filter.bridge.lastRequest();
    expect(request.frame.method).toBe('layotto.bridge.v1.Secret/GetSecret');
    expect(Buffer.from(request.frame.payload)).toEqual(Buffer.from(message));
    filter.bridge.result(request, pb.GetSecretResponseSchema, { data: { k: 'hush' } });
    const [answer] = unframe(stream.answer?.body ?? Buffer.alloc(0));
    expect(fromBinary(pb.GetSecretResponseSchema, answer as Buffer).data).toEqual({ k: 'hush' });
  });

  test('GetBulkSecret too', async () => {
    const filter = await connected();
    const stream = filter.grpc(`${service}/GetBulkSecret`, bulkMessage('secrets'));
    const request = filter.bridge.lastRequest();
    expect(request.frame.method).toBe('layotto.bridge.v1.Secret/GetBulkSecret');
    const data = [{ key: 'k', value: { secrets: { user: 'u' } } }];
    filter.bridge.result(request, pb.GetBulkSecretResponseSchema, { data });
    const [answer] = unframe(stream.answer?.body ?? Buffer.alloc(0));
    expect(fromBinary(pb.GetBulkSecretResponseSchema, answer as Buffer)).toMatchObject({ data });
  });

  test('a message that cannot be decoded is INVALID_ARGUMENT', async () => {
    const filter = await connected();
    for (const method of ['GetSecret', 'GetBulkSecret']) {
      const stream = filter.grpc(`${service}/${method}`, Buffer.from('0a05', 'hex'));
      expect(stream.answer?.grpcStatus).toBe(3);
    }
    expect(filter.bridge.requests()).toEqual([]);
  });

  test('a read that loses its session is asked once more', async () => {
    const filter = await connected();
    const stream = filter.grpc(`${service}/GetSecret`, getMessage('secrets', 'k'));
    filter.bridge.close();
    filter.connect();
    filter.bridge.result(filter.bridge.lastRequest(), pb.GetSecretResponseSchema, { data: { k: 'v' } });
    expect(stream.answer?.grpcStatus).toBe(0);
  });
});

const NAMES = {
  [LAYOTTO]: {
    none: 'error when get secret but not find configured',
    unknown: 'error when get secret but not find : nope',
    get: 'error when get secret : secret name => k,store name =>secrets,error => secret k not found',
    bulk: 'error when bulk get secret secrets: secret k not found',
  },
  [DAPR]: {
    none: 'secret store is not configured',
    unknown: 'failed finding secret store with key nope',
    get: 'failed getting secret with key k from secret store secrets: secret k not found',
    bulk: 'failed getting secrets from secret store secrets: secret k not found',
  },
};

describe.each(Object.entries(NAMES))('errors of %s', (service, texts) => {
  const get = (filter: Filter, store = 'secrets'): HttpStream =>
    filter.grpc(`${service}/GetSecret`, getMessage(store, 'k'));

  test('no store, and one that is not there', async () => {
    const empty = await Filter.connected();
    expect(get(empty).answer).toMatchObject({ grpcStatus: 9, grpcMessage: texts.none });
    const filter = await connected();
    expect(get(filter, 'nope').answer).toMatchObject({ grpcStatus: 3, grpcMessage: texts.unknown });
    expect(filter.bridge.requests()).toEqual([]);
  });

  test.each([
    // The bridge's code, the caller's, and the text.
    [5, 13, (t: typeof texts) => t.get],
    [14, 14, (t: typeof texts) => t.get],
    [7, 7, () => 'secret k not found'],
  ] as const)('the bridge says %i', async (code, grpcStatus, text) => {
    const filter = await connected();
    const stream = get(filter);
    filter.bridge.failure(filter.bridge.lastRequest(), code, 'secret k not found');
    expect(stream.answer).toMatchObject({ grpcStatus, grpcMessage: text(texts) });
  });

  test('a bulk read that fails', async () => {
    const filter = await connected();
    const stream = filter.grpc(`${service}/GetBulkSecret`, bulkMessage('secrets'));
    filter.bridge.failure(filter.bridge.lastRequest(), 13, 'secret k not found');
    expect(stream.answer).toMatchObject({ grpcStatus: 13, grpcMessage: texts.bulk });
  });
});

describe('Dapr HTTP', () => {
  test('GET of a secret', async () => {
    const filter = await connected();
    const stream = filter.http('GET', '/v1.0/secrets/secrets/a%3Ab?metadata.version_id=7');
    const request = filter.bridge.lastRequest();
    expect(fromBinary(pb.GetSecretRequestSchema, request.frame.payload)).toMatchObject({
      storeName: 'secrets',
      key: 'a:b',
      metadata: { version_id: '7' },
    });
    filter.bridge.result(request, pb.GetSecretResponseSchema, { data: { 'a:b': 'q"uote\n' } });
    expect(stream.answer?.status).toBe(200);
    expect(stream.answer?.headers.object()['content-type']).toBe('application/json');
    expect(json(stream)).toEqual({ 'a:b': 'q"uote\n' });
  });

  test('GET of a secret without entries is 204', async () => {
    const filter = await connected();
    const stream = filter.http('GET', '/v1.0/secrets/secrets/k');
    filter.bridge.result(filter.bridge.lastRequest(), pb.GetSecretResponseSchema, {});
    expect(stream.answer?.status).toBe(204);
  });

  test('GET of all', async () => {
    const filter = await connected();
    const stream = filter.http('GET', '/v1.0/secrets/secrets/bulk');
    const request = filter.bridge.lastRequest();
    expect(request.frame.method).toBe('layotto.bridge.v1.Secret/GetBulkSecret');
    const data = [{ key: 'k', value: { secrets: { k: 'v' } } }, { key: 'none' }];
    filter.bridge.result(request, pb.GetBulkSecretResponseSchema, { data });
    expect(json(stream)).toEqual({ k: { k: 'v' }, none: {} });
    const empty = filter.http('GET', '/v1.0/secrets/secrets/bulk');
    filter.bridge.result(filter.bridge.lastRequest(), pb.GetBulkSecretResponseSchema, {});
    expect(empty.answer).toMatchObject({ status: 200, body: Buffer.from('{}') });
  });

  test.each([
    [5, 500, 'ERR_SECRET_GET', 'failed getting secret with key k from secret store secrets: why'],
    [14, 503, 'ERR_SECRET_GET', 'failed getting secret with key k from secret store secrets: why'],
    [7, 403, 'ERR_PERMISSION_DENIED', 'why'],
  ])('the bridge says %i', async (code, status, errorCode, message) => {
    const filter = await connected();
    const stream = filter.http('GET', '/v1.0/secrets/secrets/k');
    filter.bridge.failure(filter.bridge.lastRequest(), code, 'why');
    expect(stream.answer?.status).toBe(status);
    expect(json(stream)).toEqual({ errorCode, message });
  });

  test('no store, and one that is not there', async () => {
    const none = (await Filter.connected()).http('GET', '/v1.0/secrets/secrets/k');
    expect(none.answer?.status).toBe(500);
    expect(json(none)).toEqual({
      errorCode: 'ERR_SECRET_STORES_NOT_CONFIGURED',
      message: 'secret store is not configured',
    });
    const unknown = (await connected()).http('GET', '/v1.0/secrets/nope/k');
    expect(unknown.answer?.status).toBe(401);
    expect(json(unknown)).toEqual({
      errorCode: 'ERR_SECRET_STORE_NOT_FOUND',
      message: 'failed finding secret store with key nope',
    });
  });

  test('an answer that is no message is said to be that', async () => {
    const filter = await connected();
    for (const path of ['k', 'bulk']) {
      const stream = filter.http('GET', `/v1.0/secrets/secrets/${path}`);
      unreadable(filter);
      expect(stream.answer?.status).toBe(500);
    }
  });

  test('a path without a secret is none of Dapr', async () => {
    const stream = (await connected()).http('GET', '/v1.0/secrets/secrets');
    expect(stream.answer?.status).toBe(404);
  });
});
