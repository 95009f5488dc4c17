import type { Redis } from 'ioredis';

import type { RedisConnection } from './connection.js';
import { StreamGroup } from './stream-group.js';

/** A server before Redis 6.2, which answers as told. */
function oldServer(answers: Record<string, (args: readonly unknown[]) => unknown>): RedisConnection {
  const call = async (command: string, ...args: unknown[]): Promise<unknown> => {
    if (args.includes('IDLE') || args.includes('ENTRIESREAD'))
      throw Object.assign(new Error('ERR syntax error'), { name: 'ReplyError' });
    return answers[command]?.(args);
  };
  const client = { call } as unknown as Redis;
  return {
    run: (_key: string, command: (next: () => Redis) => unknown) => command(() => client),
  } as RedisConnection;
}

describe('StreamGroup on an old server', () => {
  it('makes the group without what the server does not know', async () => {
    const made: unknown[] = [];
    const server = oldServer({ XGROUP: (args) => made.push(args) });
    await new StreamGroup(server, 'orders', 'shop').create();
    expect(made).toEqual([['CREATE', 'orders', 'shop', '0', 'MKSTREAM']]);
  });

  it('looks itself which messages have waited long enough, page after page', async () => {
    const all = Array.from({ length: 250 }, (_, index) => [
      `1-${index}`,
      'shop',
      index % 2 === 0 ? 99 : 100,
      3,
    ]);
    const starts: unknown[] = [];
    const server = oldServer({
      XPENDING: ([, , start]) => {
        starts.push(start);
        const from = start === '-' ? 0 : all.findIndex(([id]) => id === start);
        return from < 0 ? [] : all.slice(from, from + 100);
      },
    });
    const group = new StreamGroup(server, 'orders', 'shop');
    const found = await group.overdue(100, 1_000, (id) => id === '1-1');
    expect(found).toHaveLength(124);
    expect(found[0]).toEqual({ id: '1-3', attempts: 3 });
    expect(starts).toEqual(['-', '1-100', '1-200']);
    expect(await group.overdue(100, 2, () => false)).toHaveLength(2);
  });

  it.each([
    ['nothing was delivered', '0-0', 12],
    ['half was', '150-0', 7],
    ['all was', '200-4', 2],
    ['the last millisecond was, in part', '200-1', 5],
  ])('estimates the lag: %s', async (_, delivered, lag) => {
    const server = oldServer({
      XINFO: ([what]) =>
        what === 'GROUPS'
          ? [['name', 'shop', 'consumers', 1, 'pending', 2, 'last-delivered-id', delivered]]
          : ['length', 10, 'last-generated-id', '200-4', 'first-entry', ['100-0', ['data', 'x']]],
    });
    expect(await new StreamGroup(server, 'orders', 'shop').lag()).toBe(lag);
  });
});
