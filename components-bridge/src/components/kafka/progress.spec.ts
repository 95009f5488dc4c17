import { Progress, settledAfter } from './progress.js';

/** With these taken, in their order. */
function having(...offsets: number[]): Progress {
  const progress = new Progress({ offset: offsets[0] ?? 0, metadata: '' });
  for (const offset of offsets) progress.take(offset);
  return progress;
}

it('knows nothing at first', () => {
  expect(new Progress().low).toBe(-1);
});

it('is at the first message that is not settled, whatever the order', () => {
  const progress = having(5, 6, 7, 8);
  progress.settle(6);
  progress.settle(8);
  expect([progress.low, progress.open, progress.ahead]).toEqual([5, 2, 2]);
  progress.settle(5);
  expect([progress.low, progress.open, progress.ahead]).toEqual([7, 1, 1]);
  progress.settle(7);
  expect([progress.low, progress.open, progress.ahead]).toEqual([9, 0, 0]);
});

it('does not take a message twice, be it here or settled', () => {
  const progress = having(5, 6, 7);
  progress.settle(6);
  expect([5, 6, 7, 8].map((offset) => progress.take(offset))).toEqual([false, false, false, true]);
});

it('passes over offsets that no message has', () => {
  const progress = having(5, 100_000_000);
  progress.settle(100_000_000);
  progress.settle(5);
  expect(progress.low).toBe(100_000_001);
  progress.passed(100_000_010);
  expect(progress.low).toBe(100_000_010);
});

it('leaves to the next what it needs to know', () => {
  const progress = having(5, 6, 7, 8, 9, 10, 11);
  for (const offset of [6, 7, 10]) progress.settle(offset);
  expect([progress.deliver(5), progress.deliver(8), progress.deliver(8)]).toEqual([1, 1, 2]);
  const left = { offset: progress.low, metadata: progress.note() };
  expect(left).toEqual({ offset: 5, metadata: 'layotto:1 1-2 5 0x1 3x2' });
  expect(settledAfter(left)).toBe(3);
  const next = new Progress(left);
  expect([5, 6, 7, 8, 9, 10, 11].map((offset) => next.take(offset))).toEqual([
    ...[true, false, false, true, true, false, true],
  ]);
  expect([next.deliver(5), next.deliver(8), next.deliver(9)]).toEqual([2, 3, 1]);
  for (const offset of [5, 8, 9]) next.settle(offset);
  expect(next.low).toBe(11);
});

it('leaves out what does not fit', () => {
  const offsets = Array.from({ length: 5_000 }, (_, index) => index);
  const progress = having(...offsets);
  for (const offset of offsets.filter((one) => one % 2 === 1)) progress.settle(offset);
  const metadata = progress.note();
  expect(metadata.length).toBeLessThanOrEqual(2_000);
  const next = new Progress({ offset: 0, metadata });
  expect([next.take(0), next.take(1), next.take(4_999)]).toEqual([true, false, true]);
});

it.each(['', 'of somebody else', 'layotto:1 x - 1x 99999999 1-', 'layotto:1 0-999999 0-999999'])(
  'is not misled by %j',
  (metadata) => {
    const progress = new Progress({ offset: 3, metadata });
    expect(progress.low).toBe(3);
    expect(progress.ahead).toBeLessThanOrEqual(100_000);
  },
);
