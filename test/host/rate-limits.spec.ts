import { create, toBinary } from '@bufbuild/protobuf';

import * as pb from '../../components-bridge/src/gen/layotto/bridge/v1/file_pb.js';
import type { CompiledLimit } from '../../components-bridge/src/policy/types.js';
import type { PluginComponent } from '../../envoy/plugin-config.js';
import { RATE_VECTORS } from '../policy/rate-vectors.js';
import { Filter, getState, grpcHeaders, saveState } from './harness.js';
import type { HttpStream } from '../../cli/src/emulator/http-stream.js';

const LAYOTTO = '/spec.proto.runtime.v1.Runtime';
const PER_HOUR = { minute: 60 };
const EXHAUSTED = 8;

const component = (primitive: string, name: string): PluginComponent => ({
  name,
  type: `${primitive}.test`,
  version: 'v1',
  primitive,
  capabilities: [],
});
const COMPONENTS = [
  component('state', 'statestore'),
  component('state', 'other'),
  component('file', 'files'),
];

const limit = (
  name: string,
  perHour: number,
  burst: number,
  more: Partial<CompiledLimit> = {},
): CompiledLimit => ({
  about: { name },
  perHour,
  burst,
  ...more,
});

const connected = (...limits: CompiledLimit[]): Promise<Filter> =>
  Filter.connected({
    components: COMPONENTS,
    policy: { denies: false, trustDomain: 'cluster.local', rules: [], limits },
  });

const passes = (stream: HttpStream): boolean => stream.answer === undefined;

/** How many of so many reads pass. */
function reads(filter: Filter, times: number, store = 'statestore'): number {
  const path = `${LAYOTTO}/GetState`;
  return Array.from({ length: times }, () => filter.grpc(path, getState('k', store))).filter(passes).length;
}

test.each(RATE_VECTORS)('$about', async ({ limits, steps }) => {
  const filter = await connected(...limits);
  for (const { afterMs = 0, times, passes: expected, operation, component, told } of steps) {
    if (afterMs > 0) filter.advance(afterMs);
    const call =
      operation === 'SaveState' ? saveState('k', Buffer.from('v'), component) : getState('k', component);
    const path = `${LAYOTTO}/${operation ?? 'GetState'}`;
    const streams = Array.from({ length: times }, () => filter.grpc(path, call));
    expect(streams.filter(passes)).toHaveLength(expected);
    if (told !== undefined)
      expect(streams.at(-1)?.answer?.grpcMessage).toBe(
        `too many calls: the limit "${told[0]}" of the policy is met; try again in ${told[1]} ms`,
      );
  }
});

test('a refusal names the limit and says when to come again, through every door', async () => {
  const filter = await connected(limit('few', PER_HOUR.minute, 1));
  expect(reads(filter, 1)).toBe(1);
  const text = 'too many calls: the limit "few" of the policy is met; try again in 60000 ms';
  const grpc = filter.getState('k').answer;
  expect([grpc?.grpcStatus, grpc?.grpcMessage, grpc?.headers.get('retry-after')]).toEqual([
    EXHAUSTED,
    text,
    '60',
  ]);
  const dapr = filter.http('GET', '/v1.0/state/statestore/k').answer;
  expect([dapr?.status, dapr?.headers.get('retry-after')]).toEqual([429, '60']);
  expect(dapr?.body.toString()).toContain(JSON.stringify(text).slice(1, -1));
  const json = filter.http(
    'POST',
    '/v1.0-layotto/state/GetState',
    '{"storeName":"statestore","key":"k"}',
  ).answer;
  expect([json?.status, json?.headers.get('retry-after')]).toEqual([429, '60']);
  filter.advance(1_000);
  expect(filter.host.metric('layotto_rate_limit_refusals_total;limit=few')).toBe(3);
  expect(reads(filter, 1)).toBe(0);
  filter.advance(59_000);
  expect(reads(filter, 2)).toBe(1);
});

test('what the primitive refuses by itself takes nothing', async () => {
  const filter = await connected(limit('all', PER_HOUR.minute, 1));
  for (let times = 0; times < 3; times++)
    expect(filter.http('GET', '/v1.0/state/no-such-store/k').answer?.status).toBe(400);
  expect(reads(filter, 2)).toBe(1);
});

test('probes are never refused by a limit on everything', async () => {
  const filter = await connected(limit('all', 1, 1));
  expect(reads(filter, 2)).toBe(1);
  expect(filter.http('GET', '/v1.0/healthz').answer?.status).toBe(204);
  expect(filter.http('GET', '/actuator/health/liveness').answer?.status).toBe(200);
});

test('streams take of limits that name no component, when they open', async () => {
  const filter = await connected(
    limit('files', PER_HOUR.minute, 1, { about: { name: 'files', primitives: ['file'] } }),
  );
  const body = toBinary(
    pb.GetFileRequestSchema,
    create(pb.GetFileRequestSchema, { storeName: 'files', name: 'x' }),
  );
  const open = (): HttpStream => {
    const stream = filter.host.openStream(filter.root);
    stream.callOnRequestHeaders(grpcHeaders(`${LAYOTTO}/GetFile`), body.length === 0);
    return stream;
  };
  expect(passes(open())).toBe(true);
  const { answer } = open();
  expect([answer?.grpcStatus, answer?.headers.get('retry-after')]).toEqual([EXHAUSTED, '60']);
});

test('what another worker has taken is gone', async () => {
  const filter = await connected(limit('all', PER_HOUR.minute, 3));
  expect(reads(filter, 1)).toBe(1);
  const key = [...filter.host.sharedData.keys()].find((name) => name.startsWith('layotto.rate/all/'));
  const entry = filter.host.sharedData.get(key ?? '');
  if (key === undefined || entry === undefined) throw new Error('the filter keeps no bucket');
  const [taken] = new Float64Array(new Uint8Array(entry.value).buffer);
  const value = Buffer.from(new Float64Array([(taken ?? 0) + 60_000_000]).buffer);
  filter.host.sharedData.set(key, { value, cas: entry.cas + 1 });
  expect(reads(filter, 5)).toBe(1);
});

test('each caller of a mesh can be counted by itself; more than so many share what is left', async () => {
  const filter = await connected(limit('each', PER_HOUR.minute, 1, { per: ['app'] }));
  const { properties } = filter.host;
  properties.set('connection.mtls', Buffer.from([1]));
  const readsOf = (caller: string, times: number): number => {
    properties.set('connection.uri_san_peer_certificate', Buffer.from(`spiffe://a/${caller}`));
    return reads(filter, times);
  };
  for (let caller = 0; caller < 1_000; caller++) expect(readsOf(`${caller}`, 2)).toBe(1);
  expect(readsOf('one-more', 2)).toBe(1);
  expect(readsOf('another-one', 1)).toBe(0);
  const buckets = [...filter.host.sharedData.keys()].filter((key) => key.startsWith('layotto.rate/'));
  expect(buckets).toHaveLength(1_001);
});

test('a small burst is not in the hands of one worker, however fast it comes back', async () => {
  const fast = limit('fast', 3_600 * 10_000, 8);
  const [one, other] = [await connected(fast), await connected(fast)];
  other.host.sharedData = one.host.sharedData;
  other.host.nowNs = one.host.nowNs;
  expect(reads(one, 1)).toBe(1);
  expect(reads(other, 10)).toBe(7);
});

test('a token that another worker takes at the same moment is not given twice', async () => {
  const filter = await connected(limit('all', PER_HOUR.minute, 2));
  expect(reads(filter, 1)).toBe(1);
  const { sharedData } = filter.host;
  let raced = false;
  filter.host.sharedData = new (class extends Map<string, { value: Buffer; cas: number }> {
    override get(key: string): { value: Buffer; cas: number } | undefined {
      const entry = super.get(key);
      if (!key.startsWith('layotto.rate/') || entry === undefined || raced) return entry;
      raced = true;
      const [taken] = new Float64Array(new Uint8Array(entry.value).buffer);
      const value = Buffer.from(new Float64Array([(taken ?? 0) + 60_000_000]).buffer);
      this.set(key, { value, cas: entry.cas + 1_000 });
      return entry;
    }
  })(sharedData);
  expect(reads(filter, 1)).toBe(0);
  expect(raced).toBe(true);
});
