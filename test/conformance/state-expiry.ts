import { Code } from '../../components-bridge/src/primitives/errors.js';
import { eventually } from '../support/wait.js';
import { etag, FIRST_WRITE, item, refused } from './state-client.js';
import type { Versions } from './state.js';
import type { StateClient } from './state-client.js';

/** What a store with TTL must do. `fresh` gives keys that no other test uses. */
export function ttlTests(client: () => StateClient, fresh: () => string, versions: Versions): void {
  const ttl = (seconds: string): { metadata: Record<string, string> } => ({
    metadata: { ttlInSeconds: seconds },
  });
  const gone = (key: string): Promise<boolean> =>
    eventually(`${key} expires`, async () => (await client().get(key)).etag === '', { timeoutMs: 6_000 });

  describe('expiry', () => {
    it('lets a value go after its time, and starts over then', async () => {
      const key = fresh();
      await client().save(item(key, 'a'), item(key, 'b', ttl('1')));
      expect(await client().get(key)).toEqual({ data: 'b', etag: versions(2) });
      await gone(key);
      expect((await client().bulk([key]))[0]?.etag).toBe('');
      await client().save(item(key, 'c', { ...FIRST_WRITE, ...etag('77') }));
      expect(await client().get(key)).toEqual({ data: 'c', etag: versions(1) });
    });

    it('keeps what a save without one found, removes it at 0 and below, and replaces it', async () => {
      const [kept, zero, below, longer, never] = [fresh(), fresh(), fresh(), fresh(), fresh()];
      const all = [kept, zero, below, longer];
      await client().save(...all.map((key) => item(key, 'a', ttl('2'))), item(never, 'a', ttl('-1')));
      await client().save(
        item(kept, 'b'),
        item(zero, 'b', ttl('0')),
        item(below, 'b', ttl('-1')),
        item(longer, 'b', ttl('1000')),
      );
      await gone(kept);
      const rest = await client().bulk([zero, below, longer, never]);
      expect(rest.map(({ data }) => Buffer.from(data).toString())).toEqual(['b', 'b', 'b', 'a']);
    });

    it('applies to saves in a transaction', async () => {
      const [short, long] = [fresh(), fresh()];
      await client().transact({ upsert: item(short, 'a', ttl('1')) }, { upsert: item(long, 'a') });
      await gone(short);
      expect((await client().get(long)).data).toBe('a');
    });

    it('goes with the key', async () => {
      const key = fresh();
      const stays = fresh();
      await client().save(item(key, 'a', ttl('1')), item(stays, 'a', ttl('1')));
      await client().delete(key);
      await client().save(item(key, 'b'));
      await gone(stays);
      expect((await client().get(key)).data).toBe('b');
    });

    it.each(['zz', '1.5', '99999999999999999999', '1s'])('refuses the time %j', async (time) => {
      const key = fresh();
      const { code, message } = await refused(client().save(item(key, 'a', ttl(time))));
      expect(code).toBe(Code.INTERNAL);
      expect(message).toMatch(/^failed to parse ttl from metadata: /);
      expect((await client().get(key)).etag).toBe('');
    });
  });
}
