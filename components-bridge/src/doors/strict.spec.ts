import { create, toBinary } from '@bufbuild/protobuf';

import { requestOf, METHODS } from '../../../test/compat/door-requests.js';
import { Random } from '../../../test/wire/random.js';
import { GetSecretRequestSchema } from '../gen/layotto/bridge/v1/secret_pb.js';
import { SaveStateRequestSchema } from '../gen/layotto/bridge/v1/state_pb.js';
import { isMessage } from './strict.js';

describe('isMessage', () => {
  it('takes what is one', () => {
    const random = Random.announced('strict');
    for (const method of METHODS) {
      for (let i = 0; i < 20; i++) {
        const bytes = toBinary(method.input, create(method.input, requestOf(method, random)));
        expect([method.path, isMessage(method.input, bytes)]).toEqual([method.path, true]);
      }
    }
  });

  it.each([
    ['nothing', '', true],
    ['a field that it does not know', '0a0161f80701', true],
    ['an unknown field of each wire type', 'f80701f9070000000000000000fa070161fd0700000000', true],
    ['an unknown group', 'fb070801fc07', true],
    ['a field twice', '0a01610a0162', true],
    ['a map entry that ends in its parent', '1a010a0161', false],
    ['a string that is longer than the message', '0a0561', false],
    ['a tag alone', '0a', false],
    ['a varint that does not end', 'f807ffffffffffffffffffff01', false],
    ['field 0', '0201', false],
    ['wire type 7', '0f', false],
    ['a group that does not end', 'fb070801', false],
    ['the end of another group', 'fb07080184 08'.replace(' ', ''), false],
    ['an end without a group', 'fc07', false],
    ['a string that is not UTF-8', '0a02c328', false],
    ['a known field with another wire type', '0801', false],
  ])('%s', (_, hex, expected) => {
    expect(isMessage(GetSecretRequestSchema, Buffer.from(hex, 'hex'))).toBe(expected);
  });

  it('takes as many items as the filter does, and no more', () => {
    const items = (count: number) => Buffer.alloc(2 * count, Buffer.from('1200', 'hex'));
    expect(isMessage(SaveStateRequestSchema, items(131_072))).toBe(true);
    expect(isMessage(SaveStateRequestSchema, items(131_073))).toBe(false);
  });
});
