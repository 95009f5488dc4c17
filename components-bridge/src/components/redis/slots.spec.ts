import { parseRedirect, parseSlotRanges, slotOf } from './slots.js';

describe('slotOf', () => {
  it.each([
    ['', 0],
    ['123456789', 0x31c3],
    ['foo', 12_182],
    ['{user1000}.following', 3_443],
    ['{user1000}.followers', 3_443],
    ['foo{}{bar}', 8_363],
    ['foo{{bar}}zap', 4_015],
    ['foo{bar}{zap}', 5_061],
    ['app||{user1000}', 3_443],
  ])('%j is %d', (key, slot) => {
    expect(slotOf(key)).toBe(slot);
  });

  it('counts bytes, not characters', () => {
    expect(slotOf('a{é}')).toBe(slotOf('é'));
    expect(slotOf('é')).not.toBe(slotOf('e'));
    expect(slotOf('\u{1f511}')).not.toBe(slotOf('\u{1f512}'));
  });
});

describe('parseSlotRanges', () => {
  it('reads what nodes say', () => {
    const answer = [
      [0, 5, ['10.0.0.1', 1, 'id', []], ['host', 2, 'id']],
      [6, 16_383, [null, 3, 'id']],
    ];
    expect(parseSlotRanges(answer)).toEqual([
      {
        from: 0,
        to: 5,
        nodes: [
          { host: '10.0.0.1', port: 1 },
          { host: 'host', port: 2 },
        ],
      },
      { from: 6, to: 16_383, nodes: [{ host: '', port: 3 }] },
    ]);
    expect(parseSlotRanges([])).toEqual([]);
  });

  it.each([[null], ['OK'], [[1]], [[[0, 16_384, ['h', 1]]]], [[[-1, 2, ['h', 1]]]], [[[0, 1, 'h']]]])(
    'refuses %j',
    (answer) => {
      expect(() => parseSlotRanges(answer)).toThrow('CLUSTER SLOTS was answered with something else');
    },
  );
});

describe('parseRedirect', () => {
  it.each([
    ['MOVED 3999 127.0.0.1:6381', { kind: 'moved', host: '127.0.0.1', port: 6381 }],
    ['ASK 3999 node.example:1', { kind: 'ask', host: 'node.example', port: 1 }],
    ['MOVED 1 ::1:6381', { kind: 'moved', host: '::1', port: 6381 }],
    ['MOVED 1 :6381', { kind: 'moved', host: '', port: 6381 }],
    ['MOVED 1', undefined],
    ['MOVED x 127.0.0.1:6381', undefined],
    ['ERR MOVED 1 a:1', undefined],
  ])('%s', (message, wanted) => {
    expect(parseRedirect(message)).toEqual(wanted);
  });
});
