import { timeoutMs, unaryMessage } from './door-reply.js';

describe('timeoutMs', () => {
  it.each([
    ['300m', 300],
    ['2S', 2_000],
    ['1M', 60_000],
    ['1H', 3_600_000],
    ['1500u', 2],
    ['1n', 1],
    ['99999999H', 2 ** 31 - 1],
    ['0m', undefined],
    ['123456789m', undefined],
    ['5', undefined],
    ['m', undefined],
    ['-1m', undefined],
    [undefined, undefined],
  ])('%s is %s', (text, expected) => {
    expect(timeoutMs(text)).toBe(expected);
  });
});

describe('unaryMessage', () => {
  it('is what the one frame holds', () => {
    expect(unaryMessage(Buffer.from('0000000002abcd', 'hex'))).toEqual(Buffer.from('abcd', 'hex'));
    expect(unaryMessage(Buffer.from('0000000000', 'hex'))).toEqual(Buffer.alloc(0));
  });

  it.each([
    ['', 'the request of a unary call holds no message', 13],
    ['000000', 'the request ended inside a gRPC frame', 13],
    ['0000000002ab', 'the request ended inside a gRPC frame', 13],
    ['0200000000', 'the gRPC frame has an invalid compression flag', 13],
    ['00000000000000000000', 'the request of a unary call holds more than one message', 12],
  ])('%s is none', (hex, message, code) => {
    expect(unaryMessage(Buffer.from(hex, 'hex'))).toEqual({ code, message });
  });
});
