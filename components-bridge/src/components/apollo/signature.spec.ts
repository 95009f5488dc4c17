import { readFileSync } from 'node:fs';

import { signatureHeaders } from './signature.js';

interface Row {
  label: string;
  url: string;
  requestHeaders?: Record<string, string>;
}

/** A real Apollo took these, see test/compat/recordings. */
const RECORDINGS = new URL('../../../../test/compat/recordings/apollo-1.json', import.meta.url);
const SECRET = 'df23df3f59884980844ff3dada30fa97';

const signed = (JSON.parse(readFileSync(RECORDINGS, 'utf8')) as Row[]).filter(
  ({ label, requestHeaders }) => requestHeaders?.['Authorization'] && !label.includes('wrong'),
);

it('has recorded requests to go by', () => {
  expect(signed.length).toBeGreaterThanOrEqual(4);
});

it.each(signed.map((row) => [row.label, row] as const))('is that of a recorded request: %s', (_, row) => {
  const { pathname, search } = new URL(row.url);
  const { Authorization, Timestamp } = row.requestHeaders ?? {};
  expect(signatureHeaders('layotto-it', SECRET, `${pathname}${search}`, Number(Timestamp))).toEqual({
    Authorization,
    Timestamp,
  });
});

it('is another one for another path, time, or key', () => {
  const of = (target: string, time: number, secret: string) =>
    signatureHeaders('a', secret, target, time)['Authorization'];
  const all = [of('/x', 1, 's'), of('/y', 1, 's'), of('/x', 2, 's'), of('/x', 1, 't')];
  expect(new Set(all).size).toBe(4);
});
