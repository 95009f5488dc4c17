import { create, toBinary } from '@bufbuild/protobuf';

import { HelloSchema, Kind } from '../support/frames.js';
import { grpcFrame } from '../support/grpc-raw.js';
import { getStateBody } from '../support/requests.js';
import { FakeBridge } from './fake-bridge.js';
import { configuration, grpcHeaders, loadRuntime } from './harness.js';
import type { HttpStream } from '../../cli/src/emulator/http-stream.js';

const FAILED_PRECONDITION = 9;
const GET_STATE = '/spec.proto.runtime.v1.Runtime/GetState';
const LOCK = '/spec.proto.runtime.v1.Runtime/TryLock';

async function started(hello: { protocol?: number; services?: string[] }) {
  const host = await loadRuntime();
  const bridge = new FakeBridge(host);
  const { root, ok } = host.start(JSON.stringify(configuration()));
  expect(ok).toBe(true);
  const greet = (facts: { protocol?: number; services?: string[] }): void => {
    host.advance(root, 3_000);
    const payload = toBinary(HelloSchema, create(HelloSchema, { protocol: 1, version: '0.0.9', ...facts }));
    for (const stream of bridge.open) bridge.send(stream, { kind: Kind.HELLO, payload });
  };
  greet(hello);
  const call = (path: string, body: Uint8Array): HttpStream =>
    host.openStream(root).request(grpcHeaders(path), Buffer.from(body));
  const http = (method: string, path: string, body?: string): HttpStream =>
    host
      .openStream(root)
      .request({ ':method': method, ':path': path }, ...(body === undefined ? [] : [Buffer.from(body)]));
  return { host, bridge, greet, call, http };
}

test('a service that the bridge lacks refuses what needs it, and nothing else', async () => {
  const { call, http, bridge } = await started({
    services: ['layotto.bridge.v1.Lock', 'layotto.bridge.v1.Json'],
  });
  const refusal =
    'this module (0.1.0) needs layotto.bridge.v1.State, which the bridge (0.0.9) does not have; take both of the same release';
  const refused = call(GET_STATE, getStateBody('k'));
  expect(refused.answer).toMatchObject({ grpcStatus: FAILED_PRECONDITION, grpcMessage: refusal });
  const dapr = http('GET', '/v1.0/state/statestore/k');
  expect(dapr.answer?.status).toBe(400);
  expect(JSON.parse(dapr.answer?.body.toString() ?? '')).toMatchObject({ message: refusal });
  const json = http('POST', '/v1.0-layotto/state/GetState', '{"storeName":"statestore","key":"k"}');
  expect(json.answer?.status).toBe(400);
  expect(json.answer?.body.toString()).toContain(refusal);
  expect(bridge.requests()).toEqual([]);
  // Checked by the filter itself, as ever.
  expect(call(LOCK, grpcFrame(new Uint8Array(0))).answer?.grpcMessage).not.toContain('needs');
});

test('a bridge of another protocol refuses everything that needs a bridge, until another comes', async () => {
  const { call, http, greet, bridge } = await started({ protocol: 2 });
  const refused = call(GET_STATE, getStateBody('k'));
  expect(refused.answer).toMatchObject({
    grpcStatus: FAILED_PRECONDITION,
    grpcMessage:
      'this module (0.1.0) speaks protocol 1, the bridge (0.0.9) protocol 2; take both of the same release',
  });
  expect(http('GET', '/v1.0/healthz').answer?.status).toBe(500);
  greet({});
  expect(call(GET_STATE, getStateBody('k')).answer).toBeUndefined();
  expect(bridge.requests()).toHaveLength(1);
});

test('a bridge that names no services is taken to have all', async () => {
  const { call, bridge } = await started({ services: [] });
  expect(call(GET_STATE, getStateBody('k')).answer).toBeUndefined();
  expect(bridge.requests()).toHaveLength(1);
});
