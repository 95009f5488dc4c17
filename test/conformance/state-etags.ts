import { Code } from '../../components-bridge/src/primitives/errors.js';
import { etag, FIRST_WRITE, item, LAST_WRITE, refused } from './state-client.js';
import type { Versions } from './state.js';
import type { StateClient } from './state-client.js';

/** A version that no test writes. */
const NOBODYS = '999999999';

/** What a store with ETAG must do. `fresh` gives keys that no other test uses. */
export function etagTests(
  clients: () => { client: StateClient; other: StateClient },
  fresh: () => string,
  versions: Versions,
): void {
  describe('etags', () => {
    const mismatch = {
      code: Code.ABORTED,
      message: expect.stringMatching(/^possible etag mismatch\. error from state store: ./) as string,
    };

    it('saves with the version that is stored', async () => {
      const { client } = clients();
      const key = fresh();
      await client.save(item(key, 'a'));
      await client.save(item(key, 'b', etag((await client.get(key)).etag)));
      expect(await client.get(key)).toEqual({ data: 'b', etag: versions(2) });
    });

    it.each([
      ['first-write', FIRST_WRITE],
      ['last-write', LAST_WRITE],
      ['no option', {}],
    ])('refuses a stale version, with %s', async (_, options) => {
      const { client } = clients();
      const key = fresh();
      await client.save(item(key, 'a'));
      const { etag: first } = await client.get(key);
      await client.save(item(key, 'b'));
      const { etag: second } = await client.get(key);
      for (const stale of [first, String(Number(second) + 1), NOBODYS, '-1']) {
        expect(await refused(client.save(item(key, 'c', { ...etag(stale), ...options })))).toEqual(mismatch);
      }
      expect(await client.get(key)).toEqual({ data: 'b', etag: versions(2) });
    });

    it('takes any version for a key that is absent', async () => {
      const { client } = clients();
      const key = fresh();
      await client.save(item(key, 'a', { ...etag('41'), ...FIRST_WRITE }));
      expect(await client.get(key)).toEqual({ data: 'a', etag: versions(1) });
    });

    it.each(['', '0'])('takes the etag %j as none', async (none) => {
      const { client } = clients();
      const key = fresh();
      await client.save(item(key, 'a', etag(none)), item(key, 'b', etag(none)));
      expect(await client.get(key)).toEqual({ data: 'b', etag: versions(2) });
      await client.delete(key, none);
      expect(await client.get(key)).toEqual({ data: '', etag: '' });
    });

    it.each(['abc', '1.0', '1 ', '0x1', 'ключ'])('refuses to save with the etag %j', async (invalid) => {
      const { client } = clients();
      const key = fresh();
      const { code, message } = await refused(client.save(item(key, 'a', etag(invalid))));
      expect({ code, message }).toEqual({
        code: Code.INVALID_ARGUMENT,
        message: expect.stringContaining(`invalid etag value: ${JSON.stringify(invalid)}`) as string,
      });
      expect((await client.get(key)).etag).toBe('');
    });

    it('creates with first-write, once', async () => {
      const { client, other } = clients();
      const key = fresh();
      await client.save(item(key, 'a', FIRST_WRITE));
      const { code, message } = await refused(other.save(item(key, 'b', FIRST_WRITE)));
      expect(code).toBe(Code.INTERNAL);
      expect(message).toContain(`failed to set key app||${key}: `);
      expect(await client.get(key)).toEqual({ data: 'a', etag: versions(1) });
    });

    it('saves unconditionally also after a first-write', async () => {
      const { client } = clients();
      const key = fresh();
      await client.save(item(key, 'a', FIRST_WRITE));
      await client.save(item(key, 'b'));
      await client.save(item(key, 'c', LAST_WRITE));
      expect(await client.get(key)).toEqual({ data: 'c', etag: versions(3) });
    });

    it('lets one of many first-writes win', async () => {
      const { client, other } = clients();
      const key = fresh();
      const saves = Array.from({ length: 20 }, (_, index) =>
        (index % 2 === 0 ? client : other).save(item(key, String(index), FIRST_WRITE)).then(
          () => index,
          () => undefined,
        ),
      );
      const winners = (await Promise.all(saves)).filter((index) => index !== undefined);
      expect(winners).toHaveLength(1);
      expect(await client.get(key)).toEqual({ data: String(winners[0]), etag: versions(1) });
    });

    it('deletes with the version that is stored, and with no other', async () => {
      const { client } = clients();
      const key = fresh();
      await client.save(item(key, 'a'));
      const { etag: first } = await client.get(key);
      await client.save(item(key, 'b'));
      const { etag: second } = await client.get(key);
      for (const stale of [first, NOBODYS, 'abc']) {
        expect(await refused(client.delete(key, stale))).toEqual(mismatch);
      }
      expect((await client.get(key)).etag).toBe(second);
      await client.delete(key, second);
      expect((await client.get(key)).etag).toBe('');
    });

    it('treats the items of a save each for itself, and reports the first that failed', async () => {
      const { client } = clients();
      const [a, b, c, d] = [fresh(), fresh(), fresh(), fresh()];
      await client.save(item(b, 'old'));
      const { code, message } = await refused(
        client.save(
          item(a, 'new'),
          item(b, 'new', etag(NOBODYS)),
          item(c, 'new', etag('bad')),
          item(d, 'new'),
        ),
      );
      expect(code).toBe(Code.ABORTED);
      expect(message).toContain(b);
      const items = await client.bulk([a, b, c, d]);
      expect(items.map(({ data }) => Buffer.from(data).toString())).toEqual(['new', 'old', '', 'new']);
    });

    it('treats the items of a bulk delete each for itself', async () => {
      const { client } = clients();
      const [a, b, c] = [fresh(), fresh(), fresh()];
      await client.save(item(a, 'x'), item(b, 'x'), item(c, 'x'));
      expect(await refused(client.deleteBulk({ key: a }, { key: b, ...etag(NOBODYS) }, { key: c }))).toEqual(
        mismatch,
      );
      expect((await client.bulk([a, b, c])).map(({ etag }) => etag)).toEqual(['', versions(1), '']);
    });

    it('loses no increment of two clients that use etags', async () => {
      const { client, other } = clients();
      const key = fresh();
      await client.save(item(key, '0'));
      const increment = async (using: StateClient): Promise<void> => {
        for (;;) {
          const { data, etag: version } = await using.get(key);
          const next = item(key, String(Number(data) + 1), etag(version));
          const lost = await using.save(next).then(
            () => false,
            () => true,
          );
          if (!lost) return;
        }
      };
      const work = async (using: StateClient): Promise<void> => {
        for (let count = 0; count < 25; count++) await increment(using);
      };
      await Promise.all([work(client), work(client), work(other), work(other)]);
      expect(await client.get(key)).toEqual({ data: '100', etag: versions(101) });
    });
  });
}
