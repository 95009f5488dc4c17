import { Harness } from './harness.js';

let harness: Harness;
beforeAll(async () => {
  harness = await Harness.load();
}, 60_000);

describe('grpc-timeout', () => {
  test.each([
    ['300m', 300n],
    ['1H', 3_600_000n],
    ['2M', 120_000n],
    ['15S', 15_000n],
    ['99999999H', 359_999_996_400_000n],
    ['1u', 1n],
    ['1500u', 2n],
    ['1000000n', 1n],
    ['0n', 0n],
    ['0S', 0n],
  ])('%s is %i ms', (text, ms) => {
    expect(harness.call('grpcTimeout', text).result).toBe(ms);
  });

  test.each(['', 'm', '5', '123456789S', '-1S', '+1S', '1.5S', '1s', '1h', ' 1S', '1S ', '1SS', 'x1S'])(
    '%j is none',
    (text) => {
      expect(harness.call('grpcTimeout', text).result).toBe(-1n);
    },
  );
});

describe('a body', () => {
  test.each([
    ['empty', '', 1],
    ['an empty message', '0000000000', 0],
    ['a message', '000000000161', 0],
    ['a prefix cut off', '00000000', 2],
    ['a message cut off', '000000000261', 2],
    ['a length of almost 4 GiB', '00ffffffff61', 2],
    ['a compressed message', '010000000161', 3],
    ['a compressed message and another', '0100000001610000000000', 3],
    ['two messages', '00000000000000000000', 4],
    ['a message and a byte', '000000000000', 4],
    ['a flag of 2', '0200000000', 5],
    ['HTML', Buffer.from('<html>').toString('hex'), 5],
  ])('%s', (_name, hex, status) => {
    const [outcome] = harness.batch('grpcBatch', [{ kind: 0, bytes: Buffer.from(hex, 'hex') }]);
    expect(outcome!.status).toBe(status);
    expect(Buffer.from(outcome!.bytes).toString('hex')).toBe(status === 0 ? hex.slice(10) : '');
  });

  test('gets a prefix', () => {
    harness.run('grpcPrefix', 0x01020304);
    expect(harness.output().toString('hex')).toBe('0001020304');
  });
});

describe('grpc-message', () => {
  test.each([
    ['plain text, with: punctuation~', 'plain text, with: punctuation~'],
    ['100%', '100%25'],
    ['a\r\nb', 'a%0D%0Ab'],
    ['é😀', '%C3%A9%F0%9F%98%80'],
    ['\u007f', '%7F'],
    ['', ''],
  ])('%j is sent as %s', (text, sent) => {
    expect(harness.call('grpcMessageEncode', text).output.toString()).toBe(sent);
    expect(harness.call('grpcMessageDecode', sent).output.toString()).toBe(text);
  });

  test.each([
    ['100%', '100%'],
    ['%', '%'],
    ['%4', '%4'],
    ['%zz%41', '%zzA'],
    ['%%41', '%A'],
    ['%c3%a9', 'é'],
  ])('%s, which no sender should write, is read as %s', (sent, text) => {
    expect(harness.call('grpcMessageDecode', sent).output.toString()).toBe(text);
  });
});
