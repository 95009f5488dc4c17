import {
  GetStateResponseSchema,
  SaveStateResponseSchema,
} from '../../components-bridge/src/gen/layotto/bridge/v1/state_pb.js';
import { configuration, Filter, getState, grpcHeaders } from './harness.js';

/** The filter's metric of this name and these labels, after the next tick; undefined if there is none. */
function metric(filter: Filter, name: string, labels: Record<string, string> = {}): number | undefined {
  filter.advance(1_000);
  const text = Object.entries(labels).map(([label, value]) => `;${label}=${value}`);
  return filter.host.metric(`layotto_${name}${text.join('')}`);
}

const GET = { primitive: 'state', operation: 'GetState', component: 'statestore' };

describe('calls are counted', () => {
  test('by what they call and what they got', async () => {
    const filter = await Filter.connected();
    const answer = (): void =>
      filter.bridge.result(filter.bridge.lastRequest(), GetStateResponseSchema, {
        data: Buffer.from('1'),
        etag: '1',
      });
    for (let i = 0; i < 3; i++) {
      filter.getState('k');
      answer();
    }
    filter.grpc('/dapr.proto.runtime.v1.Dapr/GetState', getState('k'));
    filter.bridge.failure(filter.bridge.lastRequest(), 14, 'away');
    filter.http('GET', '/v1.0/state/statestore/k');
    answer();
    expect(metric(filter, 'operations_total', { ...GET, door: 'layotto_grpc', code: 'OK' })).toBe(3);
    expect(metric(filter, 'operations_total', { ...GET, door: 'dapr_grpc', code: 'UNAVAILABLE' })).toBe(1);
    expect(metric(filter, 'operations_total', { ...GET, door: 'dapr_http', code: '200' })).toBe(1);
  });

  test('also those that reach no component, and no method', async () => {
    const filter = await Filter.connected();
    filter.grpc('/spec.proto.runtime.v1.Runtime/GetState', getState('k', 'nobody'));
    filter.grpc('/spec.proto.runtime.v1.Runtime/Nothing', getState('k'));
    filter.http('GET', '/v1.0/nothing');
    filter.http('GET', '/v1.0/healthz');
    filter.http('GET', '/v1.0/healthz', undefined, { origin: 'https://example.com' });
    const unknown = { primitive: 'unknown', operation: 'unknown', component: 'none' };
    const notFound = { ...GET, component: 'unknown', door: 'layotto_grpc', code: 'INVALID_ARGUMENT' };
    expect(metric(filter, 'operations_total', notFound)).toBe(1);
    expect(metric(filter, 'operations_total', { ...unknown, door: 'grpc', code: 'UNIMPLEMENTED' })).toBe(1);
    expect(metric(filter, 'operations_total', { ...unknown, door: 'dapr_http', code: '404' })).toBe(1);
    expect(metric(filter, 'operations_total', { ...unknown, door: 'dapr_http', code: '403' })).toBe(1);
    const health = { primitive: 'health', operation: 'Healthz', component: 'none', door: 'dapr_http' };
    expect(metric(filter, 'operations_total', { ...health, code: '204' })).toBe(1);
  });

  test('also those whose caller went away, and those that Envoy ended', async () => {
    const filter = await Filter.connected();
    filter.getState('k').reset();
    filter.getState('k').envoyReply(504, 'stream timeout', 4);
    filter.http('GET', '/v1.0/state/statestore/k').envoyReply(408, 'stream timeout', -1);
    filter.http('GET', '/v1.0/state/statestore/k').reset();
    const layotto = { ...GET, door: 'layotto_grpc' };
    const http = { ...GET, door: 'dapr_http' };
    expect(metric(filter, 'operations_total', { ...layotto, code: 'CANCELLED' })).toBe(1);
    expect(metric(filter, 'operations_total', { ...layotto, code: 'DEADLINE_EXCEEDED' })).toBe(1);
    expect(metric(filter, 'operations_total', { ...http, code: '408' })).toBe(1);
    expect(metric(filter, 'operations_total', { ...http, code: '499' })).toBe(1);
  });

  test('under names that cannot be taken apart wrongly', async () => {
    const [component] = configuration().components;
    if (component === undefined) throw new Error('the configuration has no component');
    const filter = await Filter.connected({ components: [{ ...component, name: 'a;door=b' }] });
    filter.grpc('/spec.proto.runtime.v1.Runtime/GetState', getState('k', 'a;door=b'));
    filter.bridge.result(filter.bridge.lastRequest(), GetStateResponseSchema, {});
    const labels = { ...GET, component: 'a_door=b', door: 'layotto_grpc', code: 'OK' };
    expect(metric(filter, 'operations_total', labels)).toBe(1);
  });
});

test('how long a call took is recorded in microseconds', async () => {
  const filter = await Filter.connected();
  filter.getState('k');
  const request = filter.bridge.lastRequest();
  filter.advance(42);
  filter.bridge.result(request, GetStateResponseSchema, {});
  expect(metric(filter, 'operation_duration_us', { ...GET, door: 'layotto_grpc' })).toBe(42_000);
});

test('of more calls than are kept until a tick every one is recorded', async () => {
  const filter = await Filter.connected();
  for (let i = 0; i < 75; i++) {
    filter.getState('k');
    filter.bridge.result(filter.bridge.lastRequest(), GetStateResponseSchema, {});
  }
  expect(metric(filter, 'operations_total', { ...GET, door: 'layotto_grpc', code: 'OK' })).toBe(75);
  const recorded = [...filter.host.metrics.values()].find(({ name }) => name.includes('duration_us;'));
  expect(recorded?.changes).toBe(75);
});

test('an HTTP answer says where its time went', async () => {
  const filter = await Filter.connected();
  const stream = filter.http('POST', '/v1.0/state/statestore', '[{"key":"k","value":1}]');
  const { stream: session, frame } = filter.bridge.lastRequest();
  filter.advance(5);
  const payload = new Uint8Array(0);
  expect(SaveStateResponseSchema.fields).toHaveLength(0);
  filter.bridge.send(session, { id: frame.id, kind: 3, payload, bridgeUs: 4_200, backendUs: 3_999 });
  expect(stream.answer?.headers.get('server-timing')).toBe(
    'filter;dur=0.800, bridge;dur=0.201, store;dur=3.999',
  );
});

describe('limits', () => {
  test('show how often they were met, and what is held', async () => {
    const { limits } = configuration();
    const filter = await Filter.connected({
      limits: { ...limits, operations: 2, bytes: 4_096, messageBytes: 2_048 },
    });
    for (let i = 0; i < 3; i++) filter.getState(`k${i}`);
    const large = filter.host.openStream(filter.root);
    large.callOnRequestHeaders(grpcHeaders('/spec.proto.runtime.v1.Runtime/SaveState'), false);
    large.callOnRequestBody(Buffer.alloc(3_000), false);
    expect(metric(filter, 'operations_in_flight')).toBe(2);
    expect(metric(filter, 'bytes_held')).toBeGreaterThan(0);
    expect(metric(filter, 'limit_refusals_total', { limit: 'operations' })).toBe(1);
    expect(metric(filter, 'limit_refusals_total', { limit: 'message' })).toBe(1);

    const held = [0, 1, 2].map(() => filter.host.openStream(filter.root));
    for (const stream of held) {
      stream.callOnRequestHeaders(grpcHeaders('/spec.proto.runtime.v1.Runtime/SaveState'), false);
      stream.callOnRequestBody(Buffer.alloc(1_900), false);
    }
    expect(metric(filter, 'limit_refusals_total', { limit: 'bytes' })).toBe(1);
    for (const stream of held) if (!stream.gone) stream.reset();
    for (const request of filter.bridge.requests()) filter.bridge.result(request, GetStateResponseSchema, {});
    expect(metric(filter, 'operations_in_flight')).toBe(0);
    expect(metric(filter, 'bytes_held')).toBe(0);
  });
});

describe('links to the bridge', () => {
  test('show how many are up, and how often they came and went', async () => {
    const filter = await Filter.configured();
    expect(metric(filter, 'session_links', { link: 'small' })).toBe(0);
    filter.connect();
    expect(metric(filter, 'session_links', { link: 'small' })).toBe(1);
    expect(metric(filter, 'session_links', { link: 'large' })).toBe(1);
    expect(metric(filter, 'session_links_opened_total')).toBe(2);
    filter.bridge.close();
    expect(metric(filter, 'session_links', { link: 'large' })).toBe(0);
    expect(metric(filter, 'session_links_lost_total')).toBe(2);
  });

  test('of a configuration that is gone are no longer shown', async () => {
    const filter = await Filter.connected();
    expect(metric(filter, 'session_links', { link: 'small' })).toBe(1);
    filter.host.removeRoot(filter.root);
    expect(filter.host.metric('layotto_session_links;link=small')).toBe(0);
  });
});
