import { fromBinary } from '@bufbuild/protobuf';

import { SaveStateRequestSchema } from '../../components-bridge/src/gen/layotto/bridge/v1/state_pb.js';
import { configuration, Filter } from './harness.js';

const MIB = 1024 * 1024;
const SAVE = '/v1.0/state/statestore';
const { limits } = configuration();

/** Far above what any of these takes, and far below what they took when they cost the square of their length. */
const LONGEST_MS = 3_000;

function list(count: number, one: (index: number) => string): string {
  return Array.from({ length: count }, (_, index) => one(index)).join(',');
}

function query(names: number): string {
  return Array.from({ length: names }, (_, index) => `metadata.${index}=`).join('&');
}

/** One call: how long it held the VM, and by how much the VM grew. */
async function cost(path: string, body: string | undefined, times = 1) {
  const filter = await Filter.connected();
  const before = filter.host.memoryBytes;
  const begun = performance.now();
  const streams = Array.from({ length: times }, () =>
    filter.http(body === undefined ? 'GET' : 'POST', path, body),
  );
  return {
    ms: performance.now() - begun,
    grown: filter.host.memoryBytes - before,
    requests: filter.bridge.requests(),
    answer: streams.at(-1)?.answer,
  };
}

describe('what a call costs stays in proportion to its length', () => {
  test.each([
    ['metadata of many names', SAVE, `[{"key":"k","metadata":{${list(100_000, (n) => `"m${n}":""`)}}}]`],
    ['as many items as there may be', SAVE, `[${list(131_072, () => '{"key":"k"}')}]`],
    ['as many keys as there may be', `${SAVE}/bulk`, `{"keys":[${list(131_072, () => '"k"')}]}`],
    ['a query of many names', `${SAVE}/k?${query(4_500)}`, undefined],
  ])('%s', async (_, path, body) => {
    const { ms, grown, requests } = await cost(path, body);
    expect(requests).toHaveLength(1);
    expect(ms).toBeLessThan(LONGEST_MS);
    expect(grown).toBeLessThan(64 * MIB);
  });

  test('many calls of many items, all of them waiting', async () => {
    const { grown, requests } = await cost(SAVE, `[${list(131_072, () => '{"key":"\\u006b"}')}]`, 10);
    expect(requests).toHaveLength(10);
    expect(grown).toBeLessThan(2 * limits.bytes);
  });
});

describe('what would be many times the length of the body is refused', () => {
  test.each([
    ['items', SAVE, `[${list(140_000, () => '{"key":"k"}')}]`],
    ['items of nothing', SAVE, `[${list(1_000_000, () => '{}')}]`],
    ['keys', `${SAVE}/bulk`, `{"keys":[${list(1_000_000, () => '"k"')}]}`],
    ['operations', `${SAVE}/transaction`, `{"operations":[${list(1_000_000, () => '{}')}]}`],
    ['metadata', `${SAVE}/bulk`, `{"metadata":{${list(500_000, () => '"":""')}},"keys":["k"]}`],
  ])('too many %s', async (_, path, body) => {
    const { ms, grown, requests, answer } = await cost(path, body);
    expect(requests).toEqual([]);
    expect(answer?.status).toBe(400);
    expect(answer?.body.toString()).toMatch(/more than 131072 items and entries of metadata/);
    expect(ms).toBeLessThan(LONGEST_MS);
    expect(grown).toBeLessThan(64 * MIB);
  });

  test.each([
    ['a save', SAVE, `[${list(10_000, () => '{"key":"k"}')}]`],
    [
      'a transaction',
      `${SAVE}/transaction`,
      `{"operations":[${list(10_000, () => '{"operation":"delete","request":{"key":"k"}}')}]}`,
    ],
  ])("%s of many items, each with the query's metadata", async (_, path, body) => {
    const { ms, grown, requests, answer } = await cost(`${path}?${query(4_000)}`, body);
    expect(requests).toEqual([]);
    expect(answer?.status).toBe(400);
    expect(answer?.body.toString()).toMatch(/longer than limits\.message/);
    expect(ms).toBeLessThan(LONGEST_MS);
    expect(grown).toBeLessThan(64 * MIB);
  });

  test('a request that its query makes longer than the limit', async () => {
    const filter = await Filter.connected({ limits: { ...limits, messageBytes: 1_000 } });
    const stream = filter.http('GET', `${SAVE}/k?metadata.a=${'x'.repeat(2_000)}`);
    expect(stream.answer?.status).toBe(400);
    expect(stream.answer?.body.toString()).toMatch(/limits\.message is 1000/);
    expect(filter.bridge.requests()).toEqual([]);
    expect(filter.http('GET', `${SAVE}/k`).answer).toBeUndefined();
  });
});

test("of equal names of metadata the query's first one counts, then the body's last one", async () => {
  const filter = await Filter.connected();
  const body = '[{"key":"k","metadata":{"a":"body 1","a":"body 2","b":"body 1","b":"\\u0062ody 2"}}]';
  filter.http('POST', `${SAVE}?metadata.a=query%201&metadata.a=query%202`, body);
  const { frame } = filter.bridge.lastRequest();
  const { states } = fromBinary(SaveStateRequestSchema, frame.payload);
  expect(states[0]?.metadata).toEqual({ a: 'query 1', b: 'body 2' });
});
