import { create, toBinary } from '@bufbuild/protobuf';

import { GetStateResponseSchema } from '../../gen/layotto/bridge/v1/state_pb.js';
import { encodeGetStateResponse } from './encode.js';

const sizes = [0, 1, 127, 128, 1_024, 16_383, 16_384, 2_097_151, 2_097_152];
const cases = sizes.flatMap((size) => ['', '1', '9'.repeat(200), 'é|☃'].map((etag) => ({ size, etag })));

it.each(cases)(
  'a response of $size bytes with the etag "$etag" is what protobuf-es makes',
  ({ size, etag }) => {
    const value = { data: Buffer.alloc(size, 'layotto'), etag };
    const expected = toBinary(GetStateResponseSchema, create(GetStateResponseSchema, value));
    expect(Buffer.compare(encodeGetStateResponse(value), expected)).toBe(0);
  },
);
