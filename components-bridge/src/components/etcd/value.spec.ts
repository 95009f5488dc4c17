import { decodeValue, encodeValue } from './value.js';

/** Dapr's envelope (its `pbv2.Value`) around the value `hi` without and with an expiry of 300 s. */
const PLAIN = Buffer.from('0a026869120608809ab8c3061a00', 'hex');
const EXPIRING = Buffer.from('0a026869120608809ab8c3061a0308ac02', 'hex');

it("reads values of both of Dapr's forms", () => {
  expect(decodeValue('v1', Buffer.from('hi'))).toEqual(Buffer.from('hi'));
  expect(Buffer.from(decodeValue('v2', PLAIN) ?? []).toString()).toBe('hi');
  expect(Buffer.from(decodeValue('v2', EXPIRING) ?? []).toString()).toBe('hi');
});

it('writes what Dapr writes', () => {
  expect(encodeValue('v1', Buffer.from('hi'), 300)).toEqual(Buffer.from('hi'));
  expect(Buffer.from(encodeValue('v2', Buffer.from('hi'), 300, 1_752_042_752))).toEqual(EXPIRING);
});

it.each(['', 'hello', 'a longer text with \u0000 bytes'])('reads what it wrote: %j', (text) => {
  const stored = encodeValue('v2', Buffer.from(text), undefined);
  expect(Buffer.from(decodeValue('v2', stored) ?? []).toString()).toBe(text);
});

it.each([
  ['text', Buffer.from('{"a":1}')],
  ['an unfinished envelope', EXPIRING.subarray(0, 3)],
  ['a number where the data is', Buffer.from('0801', 'hex')],
  ['a field that is not of the envelope', Buffer.from('2a026869', 'hex')],
])('tells %s from an envelope', (_, stored) => {
  expect(decodeValue('v2', stored)).toBeUndefined();
});
