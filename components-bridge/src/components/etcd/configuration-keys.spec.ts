import { ANY } from '../../primitives/configuration/store.js';
import { itemKey, placeOf, prefixOf, startingWith, tagKey } from './configuration-keys.js';

const AT = { path: '/base', appId: 'app/1' };

it.each(['plain', 'a/b', '%2F', '%', 'größe 大', '', '*', 'a||b'])(
  'finds the place and the tag of %j again',
  (name) => {
    const place = { group: name, label: name, key: name };
    expect(placeOf(AT, itemKey(AT, place))).toEqual({ ...place, tag: undefined });
    expect(placeOf(AT, tagKey(AT, place, name))).toEqual({ ...place, tag: name });
  },
);

it('takes what is deeper, higher or elsewhere for no item', () => {
  for (const stored of [
    '/base/app%2F1/g/l',
    '/base/app%2F1/g/l/k/t/x',
    '/base/app/g/l/k',
    '/app%2F1/g/l/k',
  ]) {
    expect(placeOf(AT, stored)).toBeUndefined();
  }
});

it('looks no further than it must', () => {
  const query = { appId: '', keys: [], metadata: {} };
  expect(prefixOf(AT, { ...query, group: 'g', label: 'l' })).toBe('/base/app%2F1/g/l/');
  expect(prefixOf(AT, { ...query, group: 'g', label: ANY })).toBe('/base/app%2F1/g/');
  expect(prefixOf(AT, { ...query, group: ANY, label: 'l' })).toBe('/base/app%2F1/');
  expect(startingWith('/a/')).toEqual({ key: Buffer.from('/a/'), rangeEnd: Buffer.from('/a0') });
});
