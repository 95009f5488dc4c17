import { Code } from '../../components-bridge/src/primitives/errors.js';
import type { StateFeature } from '../../components-bridge/src/primitives/state/store.js';
import { conformance } from './backends.js';
import type { Subject } from './backends.js';
import { item, refused, StateClient, STRONG } from './state-client.js';
import type { ClientOptions } from './state-client.js';
import { etagTests } from './state-etags.js';
import { ttlTests } from './state-expiry.js';
import { transactionTests } from './state-transactions.js';

/** A backend that a store is tested on. */
export interface Backend {
  /** How a client reaches it. */
  options: ClientOptions;
  /** Whether several clients may use it at once, each with a connection of its own. */
  shared: boolean;
  stop(): Promise<void>;
}

/** Where a store differs from the others, as documented. */
export interface Quirks {
  /** The keys of one transaction must have a hash tag in common. */
  hashTags?: boolean;
  /** Versions are revisions of the whole store, not counted from 1 for each key. */
  revisions?: boolean;
  /** Most operations of one transaction, if there is such a limit. */
  operations?: number;
}

/** What the version of a key must be that was written so many times since it was created. */
export type Versions = (writes: number) => string;

/**
 * What every state store must do, whatever it is made of. A new store is one call of this.
 *
 * @param subject what it runs on
 * @param start starts a backend that holds nothing
 * @param features what the store declares; what it does not declare is not tested
 */
export function stateConformance(
  subject: Subject,
  start: () => Promise<Backend>,
  features: readonly StateFeature[],
  { hashTags = false, revisions = false, operations }: Quirks = {},
): void {
  conformance('state', subject, () => {
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

    const versions: Versions = (writes) =>
      revisions ? (expect.stringMatching(/^[1-9]\d*$/) as string) : String(writes);

    let serial = 0;
    /** A key that no other test uses. */
    const fresh = (): string => `key-${++serial}`;
    /** The same, where keys are used in one transaction. */
    const freshTogether = hashTags ? (): string => `{tag}-${++serial}` : fresh;

    describe('values', () => {
      it('gives back what was saved, with its first version', async () => {
        const key = fresh();
        await client.save(item(key, 'hello'));
        expect(await client.get(key)).toEqual({ data: 'hello', etag: versions(1) });
      });

      it('has nothing for a key that was never saved', async () => {
        expect(await client.get(fresh())).toEqual({ data: '', etag: '' });
      });

      it('counts versions with each save', async () => {
        const key = fresh();
        for (const value of ['a', 'b', 'c']) await client.save(item(key, value));
        expect(await client.get(key)).toEqual({ data: 'c', etag: versions(3) });
      });

      it('tells an empty value from an absent key', async () => {
        const key = fresh();
        await client.save(item(key, ''));
        expect(await client.get(key)).toEqual({ data: '', etag: versions(1) });
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
        expect(await client.get(key)).toEqual({ data: `value of ${key}`, etag: versions(1) });
        await client.delete(key);
        expect(await client.get(key)).toEqual({ data: '', etag: '' });
      });

      it('tells long keys with a common beginning apart', async () => {
        const common = 'k'.repeat(3_000);
        await client.save(item(`${common}1`, 'one'), item(`${common}2`, 'two'));
        expect(await client.get(`${common}1`)).toEqual({ data: 'one', etag: versions(1) });
        expect(await client.get(`${common}2`)).toEqual({ data: 'two', etag: versions(1) });
        expect(await client.get(common)).toEqual({ data: '', etag: '' });
        await client.delete(`${common}1`, (await client.get(`${common}1`)).etag);
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

    it('takes STRONG consistency, whatever that means for it', async () => {
      const [a, b] = [freshTogether(), freshTogether()];
      await client.save(item(a, 'a', STRONG), item(b, 'b'));
      expect(await other.get(a)).toEqual({ data: 'a', etag: versions(1) });
      if (features.includes('TRANSACTIONAL')) {
        await client.transact({ upsert: item(a, 'A', STRONG) }, { upsert: item(b, 'B') });
        expect(await other.get(b)).toEqual({ data: 'B', etag: versions(2) });
      }
      await client.delete(a, undefined, STRONG);
      await client.deleteBulk({ key: b, ...STRONG });
      expect((await other.bulk([a, b])).map(({ etag }) => etag)).toEqual(['', '']);
    });

    describe('delete', () => {
      it('removes the key, and its next version is the first again', async () => {
        const key = fresh();
        await client.save(item(key, 'a'), item(key, 'b'));
        await client.delete(key);
        expect(await client.get(key)).toEqual({ data: '', etag: '' });
        await client.save(item(key, 'c'));
        expect(await client.get(key)).toEqual({ data: 'c', etag: versions(1) });
      });

      it('succeeds on an absent key, also with an etag', async () => {
        await client.delete(fresh());
        if (features.includes('ETAG')) await client.delete(fresh(), '7');
      });

      it('removes many', async () => {
        const keys = [fresh(), fresh(), fresh()];
        await client.save(...keys.map((key) => item(key, 'x')));
        await client.deleteBulk(...keys.slice(0, 2).map((key) => ({ key })));
        expect((await client.bulk(keys)).map(({ etag }) => etag)).toEqual(['', '', versions(1)]);
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
          [c, 'C', versions(1), ''],
          [b, '', '', ''],
          [a, 'A', versions(1), ''],
          [c, 'C', versions(1), ''],
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
        expect(await client.get(key)).toEqual({ data: 'second', etag: versions(2) });
      });

      it('stops a bulk read whose answer would be too large, and says so', async () => {
        const keys = [fresh(), fresh(), fresh(), fresh(), fresh()];
        for (const key of keys) await client.save({ key, value: Buffer.alloc(1024 * 1024) });
        const { code, message } = await refused(client.bulk(keys));
        expect(code).toBe(Code.RESOURCE_EXHAUSTED);
        expect(message).toContain('4194304 bytes');
      });

      it('saves nothing when asked to save nothing', async () => {
        await client.save();
        await client.deleteBulk();
      });
    });

    if (features.includes('ETAG')) etagTests(() => ({ client, other }), fresh, versions);
    if (features.includes('TRANSACTIONAL'))
      transactionTests(() => ({ client, other }), freshTogether, versions, { revisions, operations });
    if (features.includes('TTL')) ttlTests(() => client, freshTogether, versions);
  });
}
