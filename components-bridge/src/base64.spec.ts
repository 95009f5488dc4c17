import { toBase64 } from './base64.js';

const bytes = Uint8Array.of(0, 0xfb, 0xff, 0xbf).subarray(1);
const of = (part: Uint8Array, options?: Parameters<typeof toBase64>[0]): string =>
  toBase64.call(part, options);

describe('toBase64', () => {
  test('is of the bytes themselves, not of all that is behind them', () => {
    expect(of(bytes)).toBe('+/+/');
    expect(of(bytes.subarray(0, 0))).toBe('');
  });

  test.each([
    [{}, '+w==', '+/8='],
    [{ omitPadding: true }, '+w', '+/8'],
    [{ alphabet: 'base64url' }, '-w==', '-_8='],
    [{ alphabet: 'base64url', omitPadding: true }, '-w', '-_8'],
  ] as const)('has the alphabet and the padding of %j', (options, one, two) => {
    expect([of(bytes.subarray(0, 1), options), of(bytes.subarray(0, 2), options)]).toEqual([one, two]);
  });

  test('refuses what it cannot do', () => {
    expect(() => of(bytes, { alphabet: 'hex' as 'base64' })).toThrow('there is no alphabet hex');
    expect(() => of('text' as unknown as Uint8Array)).toThrow(TypeError);
  });

  test('is there for whoever asks for it, and does not appear among the members', () => {
    const { toBase64: method } = Uint8Array.prototype as unknown as { toBase64: typeof toBase64 };
    expect(method.call(bytes)).toBe('+/+/');
    expect(Object.keys(Uint8Array.prototype)).not.toContain('toBase64');
  });
});
