import { Code } from '../errors.js';
import { check, demandOfRemoval, demandOfWrite } from './etag.js';
import { keyPrefix, storedKey } from '../keys.js';
import { parseTtl, ttlOf } from './ttl.js';

/** What toThrow compares an error with. */
const thrown = (fields: object): Error => expect.objectContaining(fields) as Error;

describe('demandOfWrite', () => {
  const demand = (etag: string | undefined, firstWrite = false): unknown =>
    demandOfWrite({ key: 'k', etag, firstWrite });

  it.each([
    [undefined, undefined],
    ['', undefined],
    ['0', undefined],
    ['00', undefined],
    ['7', { version: '7' }],
    ['+7', { version: '7' }],
    ['007', { version: '7' }],
    ['-7', { version: '-7' }],
    ['9007199254740993', { version: '9007199254740993' }],
  ])('of the etag %j', (etag, wanted) => {
    expect(demand(etag)).toEqual(wanted);
  });

  it('is that the key is absent, for a first write without an etag', () => {
    expect(demand(undefined, true)).toBe('absent');
    expect(demand('0', true)).toBe('absent');
    expect(demand('3', true)).toEqual({ version: '3' });
  });

  it.each(['x', '1.0', ' 1', '0x1', '1e3', '٣', '123456789012345678901'])('refuses %j', (etag) => {
    expect(() => demand(etag)).toThrow(thrown({ kind: 'etag-invalid' }));
  });
});

describe('demandOfRemoval', () => {
  it('takes an etag that is no number as one that never matches', () => {
    const demand = demandOfRemoval({ etag: 'abc' });
    expect(() => check(demand, '1', 'k')).toThrow(thrown({ kind: 'etag-mismatch' }));
    expect(() => check(demand, undefined, 'k')).not.toThrow();
  });
});

describe('ttlOf', () => {
  it.each([
    [{}, undefined],
    [{ other: '5' }, undefined],
    [{ ttlInSeconds: '' }, undefined],
    [{ ttlInSeconds: '5' }, 5],
    [{ TTLINSECONDS: '5' }, 5],
    [{ ttlInSeconds: '+5' }, 5],
    [{ ttlInSeconds: '-1' }, -1],
    [{ ttlInSeconds: '0' }, 0],
    [{ ttlInSeconds: '10000000000' }, 10_000_000_000],
  ])('%j is %j', (metadata, ttl) => {
    expect(ttlOf(metadata as Record<string, string>)).toBe(ttl);
  });

  it.each(['x', '1.5', '5s', '10000000001', ' 5', '9'.repeat(30)])('refuses %j', (text) => {
    expect(parseTtl(text)).toBeUndefined();
    expect(() => ttlOf({ ttlInSeconds: text })).toThrow(thrown({ code: Code.INTERNAL }));
  });
});

describe('keyPrefix', () => {
  const component = (form: 'native' | 'layotto' | 'dapr', metadata: Record<string, string> = {}) => ({
    name: 'store',
    type: 'state.test',
    version: 'v1',
    primitive: 'state',
    form,
    metadata,
    origin: { file: 'test', line: 0 },
  });

  it('finds the key in any case, and takes an empty one as none', () => {
    const owner = { appId: 'app', namespace: '' };
    expect(keyPrefix(component('native', { KEYPREFIX: 'name' }), owner)).toBe('store||');
    expect(keyPrefix(component('layotto', { keyPrefix: '' }), owner)).toBe('');
    expect(keyPrefix(component('native', { keyPrefix: '' }), owner)).toBe('app||');
  });

  it('refuses keys that could name those of others', () => {
    expect(storedKey('app||', 'a|b|')).toBe('app||a|b|');
    expect(() => storedKey('', 'other||k')).toThrow(thrown({ code: Code.INVALID_ARGUMENT }));
  });
});
