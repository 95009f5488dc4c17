import { Outbox } from './outbox.js';
import type { Change } from './watched-query.js';

const change = (key: string, content: string, deleted = false): Change => {
  const item = { key, content, group: 'g', label: 'l', tags: {}, metadata: {}, version: '' };
  return { item, deleted };
};

const contents = (changes: readonly Change[]): string[] => changes.map(({ item }) => item.content);

describe('an outbox', () => {
  test('gives the latest of each item, whose subject is whose', async () => {
    const outbox = new Outbox<string>();
    outbox.put('a', [change('k', '1'), change('l', '2')]);
    outbox.put('b', [change('k', '3')]);
    outbox.put('a', [change('k', '4')]);
    expect(await outbox.next()).toMatchObject([
      'a',
      [{ item: { content: '2' } }, { item: { content: '4' } }],
    ]);
    expect(await outbox.next()).toMatchObject(['b', [{ item: { content: '3' } }]]);
  });

  test('wakes who waits', async () => {
    const outbox = new Outbox<null>();
    const next = outbox.next();
    outbox.put(null, [change('k', '1')]);
    expect(contents((await next)[1])).toEqual(['1']);
  });

  test('gives large items one by one', async () => {
    const outbox = new Outbox<null>();
    const large = 'x'.repeat(400_000);
    outbox.put(null, [change('a', large), change('b', large), change('c', '')]);
    expect((await outbox.next())[1].map(({ item }) => item.key)).toEqual(['a']);
    expect((await outbox.next())[1].map(({ item }) => item.key)).toEqual(['b', 'c']);
  });

  test('takes back what nobody took, unless something newer has come', async () => {
    const outbox = new Outbox<null>();
    outbox.put(null, [change('a', '1'), change('b', '1')]);
    const [, taken] = await outbox.next();
    outbox.put(null, [change('a', '2')]);
    outbox.putBack(null, taken);
    expect(contents((await outbox.next())[1])).toEqual(['1', '2']);
  });

  test('ends with the reason, for who waits and who asks later', async () => {
    const outbox = new Outbox<null>();
    const next = outbox.next();
    outbox.put(null, []);
    outbox.fail(new Error('over'));
    outbox.fail(new Error('later'));
    await expect(next).rejects.toThrow('over');
    outbox.put(null, [change('k', '1')]);
    await expect(outbox.next()).rejects.toThrow('over');
  });
});
