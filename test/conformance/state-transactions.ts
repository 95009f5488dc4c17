import { Code } from '../../components-bridge/src/primitives/errors.js';
import { etag, FIRST_WRITE, item, refused } from './state-client.js';
import type { Quirks, Versions } from './state.js';
import type { Item, StateClient } from './state-client.js';

/** What a store with TRANSACTIONAL must do. `fresh` gives keys that no other test uses. */
export function transactionTests(
  clients: () => { client: StateClient; other: StateClient },
  fresh: () => string,
  versions: Versions,
  { revisions, operations = 500 }: Pick<Quirks, 'revisions' | 'operations'>,
): void {
  describe('transactions', () => {
    it('saves and deletes', async () => {
      const { client } = clients();
      const [a, b] = [fresh(), fresh()];
      await client.save(item(b, 'x'));
      await client.transact({ upsert: item(a, 'new') }, { delete: { key: b } });
      expect(await client.get(a)).toEqual({ data: 'new', etag: versions(1) });
      expect(await client.get(b)).toEqual({ data: '', etag: '' });
    });

    it('does nothing when it has no operations', async () => {
      await clients().client.transact();
    });

    it('leaves nothing behind when an etag is stale', async () => {
      const { client } = clients();
      const [a, b, c] = [fresh(), fresh(), fresh()];
      await client.save(item(b, 'old'), item(c, 'old'));
      const { code, message } = await refused(
        client.transact(
          { upsert: item(a, 'new') },
          { delete: { key: c } },
          { upsert: item(b, 'new', etag('999999999')) },
        ),
      );
      expect(code).toBe(Code.ABORTED);
      expect(message).toMatch(/^possible etag mismatch\. error from state store: /);
      expect(message).toContain(b);
      const items = await client.bulk([a, b, c]);
      expect(items.map(({ data, etag }) => [Buffer.from(data).toString(), etag])).toEqual([
        ['', ''],
        ['old', versions(1)],
        ['old', versions(1)],
      ]);
    });

    it('leaves nothing behind when a first-write finds the key, an etag is invalid or a ttl is', async () => {
      const { client } = clients();
      const [a, b] = [fresh(), fresh()];
      await client.save(item(b, 'old'));
      const before = { upsert: item(a, 'new') };
      const attempts: [() => Promise<void>, Code][] = [
        [() => client.transact(before, { upsert: item(b, 'new', FIRST_WRITE) }), Code.INTERNAL],
        [() => client.transact(before, { upsert: item(b, 'new', etag('x')) }), Code.INVALID_ARGUMENT],
        [
          () => client.transact(before, { upsert: item(b, 'x', { metadata: { ttlInSeconds: 'x' } }) }),
          Code.INTERNAL,
        ],
        [() => client.transact(before, { delete: { key: b, ...etag('x') } }), Code.ABORTED],
      ];
      for (const [attempt, code] of attempts) expect((await refused(attempt())).code).toBe(code);
      expect((await client.get(a)).etag).toBe('');
      expect(await client.get(b)).toEqual({ data: 'old', etag: versions(1) });
    });

    it('lets each operation see those before it', async () => {
      const { client } = clients();
      const key = fresh();
      // The version that a revision will be cannot be known before.
      const ownVersion = (writes: string): Item => (revisions ? {} : etag(writes));
      await client.transact(
        { upsert: item(key, 'a', FIRST_WRITE) },
        { upsert: item(key, 'b', ownVersion('1')) },
        { delete: { key, ...ownVersion('2') } },
        { upsert: item(key, 'c', FIRST_WRITE) },
        { upsert: item(key, 'd', ownVersion('1')) },
      );
      expect(await client.get(key)).toEqual({ data: 'd', etag: versions(2) });
    });

    it('refuses all when an operation fails because of one before it', async () => {
      const { client } = clients();
      const key = fresh();
      await client.save(item(key, 'old'));
      const stored = etag((await client.get(key)).etag);
      const { code } = await refused(
        client.transact({ upsert: item(key, 'new', stored) }, { upsert: item(key, 'newer', stored) }),
      );
      expect(code).toBe(Code.ABORTED);
      expect(await client.get(key)).toEqual({ data: 'old', etag: versions(1) });
    });

    it(`holds ${operations} operations and large values`, async () => {
      const { client } = clients();
      const keys = Array.from({ length: operations }, fresh);
      const value = 'v'.repeat(4_000);
      await client.transact(...keys.map((key) => ({ upsert: item(key, value) })));
      const items = await client.bulk(keys);
      expect(items.map(({ data, etag }) => [data.length, etag])).toEqual(
        keys.map(() => [value.length, versions(1)]),
      );
    });

    it('keeps two keys in step under transactions of two clients', async () => {
      const { client, other } = clients();
      const [a, b] = [fresh(), fresh()];
      await client.transact({ upsert: item(a, '0') }, { upsert: item(b, '0') });
      const work = async (using: StateClient): Promise<number> => {
        let done = 0;
        for (let count = 0; count < 30; count++) {
          const at = await using.get(a);
          const next = String(Number(at.data) + 1);
          await using.transact({ upsert: item(b, next) }, { upsert: item(a, next, etag(at.etag)) }).then(
            () => done++,
            () => undefined,
          );
        }
        return done;
      };
      const done = await Promise.all([work(client), work(other), work(client), work(other)]);
      const sum = done.reduce((total, count) => total + count, 0);
      expect(sum).toBeGreaterThanOrEqual(30);
      const [atA, atB] = await client.bulk([a, b]);
      expect([Buffer.from(atA?.data ?? []).toString(), Buffer.from(atB?.data ?? []).toString()]).toEqual([
        String(sum),
        String(sum),
      ]);
      expect([atA?.etag, atB?.etag]).toEqual([versions(sum + 1), versions(sum + 1)]);
    });
  });
}
