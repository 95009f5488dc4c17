import { fromBinary } from '@bufbuild/protobuf';

import {
  GetStateResponseSchema,
  SaveStateRequestSchema,
} from '../../components-bridge/src/gen/layotto/bridge/v1/state_pb.js';
import { unframe } from '../support/grpc-raw.js';
import { configuration, Filter } from './harness.js';

/** Around the length up to which buffers are kept for the next one, with what stands around a value. */
const LENGTHS = Array.from({ length: 400 }, (_, n) => 1_600 + n);

const value = (length: number): Buffer => Buffer.alloc(length, `${length} `);

test('buffers of all lengths hold what is theirs, when they are kept and taken again too', async () => {
  const { limits } = configuration();
  const filter = await Filter.connected({ limits: { ...limits, operations: 100_000 } });
  for (let round = 0; round < 3; round++) {
    const saves = LENGTHS.map((length) => {
      const stream = filter.saveState(`k${length}`, value(length));
      const request = filter.bridge.lastRequest();
      const sent = fromBinary(SaveStateRequestSchema, request.frame.payload);
      expect(Buffer.from(sent.states[0]?.value ?? []).equals(value(length))).toBe(true);
      filter.bridge.forget();
      return stream;
    });
    // Those in the middle are given back first.
    saves.filter((_, n) => n % 3 !== 0).forEach((stream) => stream.reset());
    const reads = LENGTHS.map((length) => {
      const stream = filter.getState(`k${length}`);
      const request = filter.bridge.lastRequest();
      filter.bridge.forget();
      return { length, stream, request };
    });
    for (const { length, request } of reads.reverse())
      filter.bridge.result(request, GetStateResponseSchema, { data: value(length) });
    for (const { length, stream } of reads) {
      const [message = Buffer.alloc(0)] = unframe(stream.answer?.body ?? Buffer.alloc(0));
      const { data } = fromBinary(GetStateResponseSchema, message);
      expect(Buffer.from(data).equals(value(length))).toBe(true);
    }
    saves.filter((_, n) => n % 3 === 0).forEach((stream) => stream.reset());
  }
  expect(filter.complaints).toEqual([]);
});
