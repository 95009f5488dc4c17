import { ranges } from './assigner.js';
import { Partitions, byKey } from './partitions.js';

const three = [0, 1, 2].map((partitionId) => ({
  ...{ partitionId, leader: 1, partitionErrorCode: 0, replicas: [1], isr: [1] },
}));

it('takes the partition that is named, by the key, or one after the other', () => {
  const partitions = new Partitions();
  const choose = (message: object) =>
    partitions.choose({ topic: 't', partitionMetadata: three, message: { value: null, ...message } });
  expect(choose({ headers: { partitionNumber: '2' }, key: 'a' })).toBe(2);
  expect(() => choose({ headers: { partitionNumber: '3' } })).toThrow(
    'partitionNumber 3: topic t has 3 partitions',
  );
  expect(choose({ key: 'foo' })).toBe(byKey(Buffer.from('foo'), 3));
  const turns = [choose({}), choose({}), choose({}), choose({})];
  expect(new Set(turns).size).toBe(3);
  expect(turns[3]).toBe(turns[0]);
});

it('keeps the partition of a message that is sent again', () => {
  const partitions = new Partitions();
  const message = { value: null };
  const first = partitions.choose({ topic: 't', partitionMetadata: three, message });
  partitions.choose({ topic: 't', partitionMetadata: three, message: { value: null } });
  expect(partitions.choose({ topic: 't', partitionMetadata: three, message })).toBe(first);
  expect(partitions.of(message)).toBe(first);
});

it('hashes keys as FNV-1a does', () => {
  // The published values of the hash: 0xe40c292c of "a", 0xbf9cf968 of "foobar"; both are negative as signed numbers.
  expect(byKey(Buffer.from('a'), 1_000)).toBe(Math.abs((0xe40c292c | 0) % 1_000));
  expect(byKey(Buffer.from('foobar'), 7)).toBe(Math.abs((0xbf9cf968 | 0) % 7));
  expect(byKey(Buffer.from(''), 10)).toBe(Math.abs((0x811c9dc5 | 0) % 10));
});

it('cuts partitions into ranges', () => {
  expect(ranges([0, 1, 2, 3, 4], ['a', 'b'])).toEqual([
    ['a', [0, 1, 2]],
    ['b', [3, 4]],
  ]);
  expect(ranges([0], ['a', 'b'])).toEqual([
    ['a', [0]],
    ['b', []],
  ]);
});
