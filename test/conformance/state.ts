import { Code } from '../../components-bridge/src/primitives/errors.js';
import type { StateFeature } from '../../components-bridge/src/primitives/state/store.js';
import { eventually } from '../support/wait.js';
import { etag, FIRST_WRITE, item, LAST_WRITE, refused, StateClient } from './state-client.js';
import type { ClientOptions } from './state-client.js';

/** A backend that a store is tested on. */
export interface Backend {
  /** How a client reaches it. */
  options: ClientOptions;
  /** Whether several clients may use it at once, each with a connection of its own. */
  shared: boolean;
  stop(): Promise<void>;
}

/**
 * What every state store must do, whatever it is made of. A new store is one call of this.
 *
 * @param name of the store, for the test's title
 * @param start starts a backend that holds nothing
 * @param features what the store declares; what it does not declare is not tested
 */
export function stateConformance(
  name: string,
  start: () => Promise<Backend>,
  features: readonly StateFeature[],
): void {
  describe(`state on ${name}`, () => {
    let backend: Backend;
    let client: StateClient;
    /** Another client of the same store, with a connection of its own where that is possible. */
    let other: StateClient;

    beforeAll(async () => {
      backend = await start();
      client = await StateClient.open(backend.options);
      other = backend.shared ? await StateClient.open(backend.options) : client;
    });

    afterAll(async () => {
      await client?.close();
      if (other !== client) await other?.close();
      await backend?.stop();
    });

    let serial = 0;
    /** A key that no other test uses. */
    const fresh = (): string => `key-${++serial}`;

    describe('values', () => {
      it('gives back what was saved, with its first version', async () => {
        const key = fresh();
        await client.save(item(key, 'hello'));
        expect(await client.get(key)).toEqual({ data: 'hello', etag: '1' });
      });

      it('has nothing for a key that was never saved', async () => {
        expect(await client.get(fresh())).toEqual({ data: '', etag: '' });
      });

      it('counts versions with each save', async () => {
        const key = fresh();
        for (const value of ['a', 'b', 'c']) await client.save(item(key, value));
        expect(await client.get(key)).toEqual({ data: 'c', etag: '3' });
      });

      it('tells an empty value from an absent key', async () => {
        const key = fresh();
        await client.save(item(key, ''));
        expect(await client.get(key)).toEqual({ data: '', etag: '1' });
      });

      it('keeps any bytes', async () => {
        const key = fresh();
        const value = Buffer.from(Array.from({ length: 512 }, (_, index) => index % 256));
        await client.save({ key, value });
        expect(Buffer.from((await client.getBytes(key)).data).equals(value)).toBe(true);
      });

      it('keeps 1 MiB', async () => {
        const key = fresh();
        const value = Buffer.alloc(1024 * 1024, 'layotto ');
        await client.save({ key, value });
        expect(Buffer.from((await client.getBytes(key)).data).equals(value)).toBe(true);
      });

      it.each([
        ['letters of other scripts', 'ключ/鍵 🔑'],
        ['control characters', 'a\u0000b\r\n\tc'],
        ['one bar', 'a|b'],
        ['a newline and a glob', '*?[x]\n'],
        ['no characters', ''],
      ])('takes keys with %s', async (_, key) => {
        await client.save(item(key, `value of ${key}`));
        expect(await client.get(key)).toEqual({ data: `value of ${key}`, etag: '1' });
        await client.delete(key);
        expect(await client.get(key)).toEqual({ data: '', etag: '' });
      });

      it('tells long keys with a common beginning apart', async () => {
        const common = 'k'.repeat(3_000);
        await client.save(item(`${common}1`, 'one'), item(`${common}2`, 'two'));
        expect(await client.get(`${common}1`)).toEqual({ data: 'one', etag: '1' });
        expect(await client.get(`${common}2`)).toEqual({ data: 'two', etag: '1' });
        expect(await client.get(common)).toEqual({ data: '', etag: '' });
        await client.delete(`${common}1`, '1');
        expect(await client.get(`${common}1`)).toEqual({ data: '', etag: '' });
        expect((await client.get(`${common}2`)).data).toBe('two');
      });

      it('refuses a key with the separator of prefixes', async () => {
        const message = "input key/keyPrefix 'a||b' can't contain '||'";
        const wanted = { code: Code.INVALID_ARGUMENT, message };
        expect(await refused(client.get('a||b'))).toEqual(wanted);
        expect(await refused(client.bulk(['a', 'a||b']))).toEqual(wanted);
        expect(await refused(client.save(item('a||b', '')))).toEqual(wanted);
        expect(await refused(client.delete('a||b'))).toEqual(wanted);
        expect(await refused(client.transact({ delete: item('a||b', '') }))).toEqual(wanted);
      });
    });

    describe('delete', () => {
      it('removes the key, and its next version is the first again', async () => {
        const key = fresh();
        await client.save(item(key, 'a'), item(key, 'b'));
        await client.delete(key);
        expect(await client.get(key)).toEqual({ data: '', etag: '' });
        await client.save(item(key, 'c'));
        expect(await client.get(key)).toEqual({ data: 'c', etag: '1' });
      });

      it('succeeds on an absent key, also with an etag', async () => {
        await client.delete(fresh());
        if (features.includes('ETAG')) await client.delete(fresh(), '7');
      });

      it('removes many', async () => {
        const keys = [fresh(), fresh(), fresh()];
        await client.save(...keys.map((key) => item(key, 'x')));
        await client.deleteBulk(...keys.slice(0, 2).map((key) => ({ key })));
        expect((await client.bulk(keys)).map(({ etag }) => etag)).toEqual(['', '', '1']);
      });
    });

    describe('several keys', () => {
      it('reads them in the order asked for, absent ones and repeated ones included', async () => {
        const [a, b, c] = [fresh(), fresh(), fresh()];
        await client.save(item(a, 'A'), item(c, 'C'));
        const items = await client.bulk([c, b, a, c]);
        expect(
          items.map(({ key, data, etag, error }) => [key, Buffer.from(data).toString(), etag, error]),
        ).toEqual([
          [c, 'C', '1', ''],
          [b, '', '', ''],
          [a, 'A', '1', ''],
          [c, 'C', '1', ''],
        ]);
      });

      it('reads none', async () => {
        expect(await client.bulk([])).toEqual([]);
      });

      it('reads and saves thousands', async () => {
        const keys = Array.from({ length: 2_500 }, fresh);
        await client.save(...keys.map((key) => item(key, key)));
        const items = await client.bulk(keys);
        expect(items.map(({ data }) => Buffer.from(data).toString())).toEqual(keys);
      });

      it('saves in the order given when a key is repeated', async () => {
        const key = fresh();
        await client.save(item(key, 'first'), item(key, 'second'));
        expect(await client.get(key)).toEqual({ data: 'second', etag: '2' });
      });

      it('stops a bulk read whose answer would be too large, and says so', async () => {
        const keys = [fresh(), fresh(), fresh()];
        for (const key of keys) await client.save({ key, value: Buffer.alloc(2 * 1024 * 1024) });
        const { code, message } = await refused(client.bulk(keys));
        expect(code).toBe(Code.RESOURCE_EXHAUSTED);
        expect(message).toContain('4194304 bytes');
      });

      it('saves nothing when asked to save nothing', async () => {
        await client.save();
        await client.deleteBulk();
      });
    });

    if (features.includes('ETAG')) etagTests(() => ({ client, other }), fresh);
    if (features.includes('TRANSACTIONAL')) transactionTests(() => ({ client, other }), fresh);
    if (features.includes('TTL')) ttlTests(() => client, fresh);
  });
}

function etagTests(clients: () => { client: StateClient; other: StateClient }, fresh: () => string): void {
  describe('etags', () => {
    const mismatch = {
      code: Code.ABORTED,
      message: expect.stringMatching(/^possible etag mismatch\. error from state store: ./) as string,
    };

    it('saves with the version that is stored', async () => {
      const { client } = clients();
      const key = fresh();
      await client.save(item(key, 'a'));
      await client.save(item(key, 'b', etag('1')));
      expect(await client.get(key)).toEqual({ data: 'b', etag: '2' });
    });

    it.each([
      ['first-write', FIRST_WRITE],
      ['last-write', LAST_WRITE],
      ['no option', {}],
    ])('refuses a stale version, with %s', async (_, options) => {
      const { client } = clients();
      const key = fresh();
      await client.save(item(key, 'a'), item(key, 'b'));
      for (const stale of ['1', '3', '9999', '-1']) {
        expect(await refused(client.save(item(key, 'c', { ...etag(stale), ...options })))).toEqual(mismatch);
      }
      expect(await client.get(key)).toEqual({ data: 'b', etag: '2' });
    });

    it('takes any version for a key that is absent', async () => {
      const { client } = clients();
      const key = fresh();
      await client.save(item(key, 'a', { ...etag('41'), ...FIRST_WRITE }));
      expect(await client.get(key)).toEqual({ data: 'a', etag: '1' });
    });

    it.each(['', '0'])('takes the etag %j as none', async (none) => {
      const { client } = clients();
      const key = fresh();
      await client.save(item(key, 'a', etag(none)), item(key, 'b', etag(none)));
      expect(await client.get(key)).toEqual({ data: 'b', etag: '2' });
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
      expect(await client.get(key)).toEqual({ data: 'a', etag: '1' });
    });

    it('saves unconditionally also after a first-write', async () => {
      const { client } = clients();
      const key = fresh();
      await client.save(item(key, 'a', FIRST_WRITE));
      await client.save(item(key, 'b'));
      await client.save(item(key, 'c', LAST_WRITE));
      expect(await client.get(key)).toEqual({ data: 'c', etag: '3' });
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
      expect(await client.get(key)).toEqual({ data: String(winners[0]), etag: '1' });
    });

    it('deletes with the version that is stored, and with no other', async () => {
      const { client } = clients();
      const key = fresh();
      await client.save(item(key, 'a'), item(key, 'b'));
      for (const stale of ['1', '9999', 'abc']) {
        expect(await refused(client.delete(key, stale))).toEqual(mismatch);
      }
      expect((await client.get(key)).etag).toBe('2');
      await client.delete(key, '2');
      expect((await client.get(key)).etag).toBe('');
    });

    it('treats the items of a save each for itself, and reports the first that failed', async () => {
      const { client } = clients();
      const [a, b, c, d] = [fresh(), fresh(), fresh(), fresh()];
      await client.save(item(b, 'old'));
      const { code, message } = await refused(
        client.save(item(a, 'new'), item(b, 'new', etag('7')), item(c, 'new', etag('bad')), item(d, 'new')),
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
      expect(await refused(client.deleteBulk({ key: a }, { key: b, ...etag('9') }, { key: c }))).toEqual(
        mismatch,
      );
      expect((await client.bulk([a, b, c])).map(({ etag }) => etag)).toEqual(['', '1', '']);
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
      expect(await client.get(key)).toEqual({ data: '100', etag: '101' });
    });
  });
}

function transactionTests(
  clients: () => { client: StateClient; other: StateClient },
  fresh: () => string,
): void {
  describe('transactions', () => {
    it('saves and deletes', async () => {
      const { client } = clients();
      const [a, b] = [fresh(), fresh()];
      await client.save(item(b, 'x'));
      await client.transact({ upsert: item(a, 'new') }, { delete: { key: b } });
      expect(await client.get(a)).toEqual({ data: 'new', etag: '1' });
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
          { upsert: item(b, 'new', etag('99')) },
        ),
      );
      expect(code).toBe(Code.ABORTED);
      expect(message).toMatch(/^possible etag mismatch\. error from state store: /);
      expect(message).toContain(b);
      const items = await client.bulk([a, b, c]);
      expect(items.map(({ data, etag }) => [Buffer.from(data).toString(), etag])).toEqual([
        ['', ''],
        ['old', '1'],
        ['old', '1'],
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
      expect(await client.get(b)).toEqual({ data: 'old', etag: '1' });
    });

    it('lets each operation see those before it', async () => {
      const { client } = clients();
      const key = fresh();
      await client.transact(
        { upsert: item(key, 'a', FIRST_WRITE) },
        { upsert: item(key, 'b', etag('1')) },
        { delete: { key, ...etag('2') } },
        { upsert: item(key, 'c', FIRST_WRITE) },
        { upsert: item(key, 'd', etag('1')) },
      );
      expect(await client.get(key)).toEqual({ data: 'd', etag: '2' });
    });

    it('refuses all when an operation fails because of one before it', async () => {
      const { client } = clients();
      const key = fresh();
      await client.save(item(key, 'old'));
      const { code } = await refused(
        client.transact({ upsert: item(key, 'new', etag('1')) }, { upsert: item(key, 'newer', etag('1')) }),
      );
      expect(code).toBe(Code.ABORTED);
      expect(await client.get(key)).toEqual({ data: 'old', etag: '1' });
    });

    it('holds hundreds of operations and large values', async () => {
      const { client } = clients();
      const keys = Array.from({ length: 500 }, fresh);
      const value = 'v'.repeat(4_000);
      await client.transact(...keys.map((key) => ({ upsert: item(key, value) })));
      const items = await client.bulk(keys);
      expect(items.every(({ data, etag }) => data.length === value.length && etag === '1')).toBe(true);
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
      expect([atA?.etag, atB?.etag]).toEqual([String(sum + 1), String(sum + 1)]);
    });
  });
}

function ttlTests(client: () => StateClient, fresh: () => string): void {
  const ttl = (seconds: string): { metadata: Record<string, string> } => ({
    metadata: { ttlInSeconds: seconds },
  });
  const gone = (key: string): Promise<boolean> =>
    eventually(`${key} expires`, async () => (await client().get(key)).etag === '', { timeoutMs: 6_000 });

  describe('expiry', () => {
    it('lets a value go after its time, and starts over then', async () => {
      const key = fresh();
      await client().save(item(key, 'a'), item(key, 'b', ttl('1')));
      expect(await client().get(key)).toEqual({ data: 'b', etag: '2' });
      await gone(key);
      expect((await client().bulk([key]))[0]?.etag).toBe('');
      await client().save(item(key, 'c', { ...FIRST_WRITE, ...etag('77') }));
      expect(await client().get(key)).toEqual({ data: 'c', etag: '1' });
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
