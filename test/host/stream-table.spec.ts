import { fromBinary } from '@bufbuild/protobuf';
import { GetStateResponseSchema } from '../../components-bridge/src/gen/layotto/bridge/v1/state_pb.js';
import { unframe } from '../support/grpc-raw.js';
import { configuration, Filter } from './harness.js';
import type { HttpStream } from '../../cli/src/emulator/http-stream.js';

/** Numbers that are always the same. */
function numbers(seed: number): () => number {
  let state = seed;
  return () => (state = (state * 1103515245 + 12345) % 2 ** 31) / 2 ** 31;
}

test('of many streams that come and go in any order each gets its own answer', async () => {
  const { limits } = configuration();
  const filter = await Filter.connected({ limits: { ...limits, operations: 100_000 } });
  const random = numbers(7);
  const open: { key: string; stream: HttpStream; request: ReturnType<typeof filter.bridge.lastRequest> }[] =
    [];
  let answered = 0;
  const answer = (at: number): void => {
    const [{ key, stream, request }] = open.splice(at, 1) as [(typeof open)[number]];
    filter.bridge.result(request, GetStateResponseSchema, { data: Buffer.from(key), etag: '1' });
    const [message] = unframe(stream.answer?.body ?? Buffer.alloc(0));
    expect(Buffer.from(fromBinary(GetStateResponseSchema, message as Buffer).data).toString()).toBe(key);
    answered++;
  };
  // The first one stays until the end, while ids go once around the table and more.
  for (let i = 0; i < 1_500; i++) {
    const key = `k${i}`;
    const stream = filter.getState(key);
    open.push({ key, stream, request: filter.bridge.lastRequest() });
    filter.bridge.forget();
    if (open.length > 300) answer(1 + Math.floor(random() * (open.length - 1)));
    else if (random() < 0.3 && open.length > 1) answer(open.length - 1);
    if (random() < 0.05 && open.length > 2) open.splice(1, 1)[0]?.stream.reset();
  }
  while (open.length > 0) answer(open.length - 1);
  expect(answered).toBeGreaterThan(1_300);
  expect(filter.complaints).toEqual([]);
});
