import * as pb from '../../components-bridge/src/gen/layotto/bridge/v1/secret_pb.js';
import { Code } from '../../components-bridge/src/primitives/errors.js';
import { Rooms } from '../support/rooms.js';
import type { RoomComponent } from '../support/rooms.js';
import { conformance } from './backends.js';
import type { Subject } from './backends.js';
import { refused } from './state-client.js';

/** Secrets by name, each with its entries. */
export type SecretsByName = Record<string, Record<string, string>>;

/** A backend that a secret store is tested on. */
export interface SecretBackend {
  component: Omit<RoomComponent, 'name'>;
  /** What it holds from the beginning. */
  secrets: SecretsByName;
  /** Changes a secret, or adds one, in the way that others do. */
  set(name: string, value: string): Promise<void>;
  /** Takes a secret away. */
  remove(name: string): Promise<void>;
  stop(): Promise<void>;
}

const GET = [pb.GetSecretRequestSchema, pb.GetSecretResponseSchema] as const;
const GET_BULK = [pb.GetBulkSecretRequestSchema, pb.GetBulkSecretResponseSchema] as const;

/** What every secret store must do, whatever it is made of. A new store is one call of this. */
export function secretConformance(subject: Subject, start: () => Promise<SecretBackend>): void {
  conformance('secret', subject, () => {
    let backend: SecretBackend;
    let rooms: Rooms;

    beforeAll(async () => {
      backend = await start();
      const access = { default: 'allow' as const, allowed: [], denied: ['one', 'absent'] };
      rooms = await Rooms.open([
        { ...backend.component, name: 'secrets' },
        { ...backend.component, name: 'ruled', access },
      ]);
    });

    afterAll(async () => {
      await rooms?.close();
      await backend?.stop();
    });

    async function get(key: string, storeName = 'secrets'): Promise<Record<string, string>> {
      return (await rooms.call('Secret/GetSecret', GET, { storeName, key })).data;
    }

    async function getBulk(storeName = 'secrets'): Promise<SecretsByName> {
      const { data } = await rooms.call('Secret/GetBulkSecret', GET_BULK, { storeName });
      return Object.fromEntries(data.map(({ key, value }) => [key, value?.secrets ?? {}]));
    }

    it('gives each secret, with all its entries', async () => {
      expect(Object.keys(backend.secrets).length).toBeGreaterThan(1);
      for (const [key, entries] of Object.entries(backend.secrets)) expect(await get(key)).toEqual(entries);
    });

    it('gives all of them at once', async () => {
      expect(await getBulk()).toEqual(backend.secrets);
    });

    it.each(['absent', '', '..', '../one', './one', 'one/', '/', '__proto__', 'toString', 'one\0', 'ONE'])(
      'has no secret %p',
      async (key) => {
        expect(await refused(get(key))).toEqual({ code: Code.NOT_FOUND, message: `secret ${key} not found` });
      },
    );

    it('gives what there is now', async () => {
      await backend.set('one', 'changed');
      expect(await get('one')).toEqual({ one: 'changed' });
      await backend.set('later', 'added');
      expect(await get('later')).toEqual({ later: 'added' });
      expect(await getBulk()).toEqual({
        ...backend.secrets,
        one: { one: 'changed' },
        later: { later: 'added' },
      });
      await backend.remove('later');
      expect((await refused(get('later'))).code).toBe(Code.NOT_FOUND);
      await backend.set('one', backend.secrets['one']?.['one'] ?? '');
      expect(await getBulk()).toEqual(backend.secrets);
    });

    it('keeps what is denied to itself, whether it is there or not', async () => {
      for (const key of ['one', 'absent']) {
        expect(await refused(get(key, 'ruled'))).toEqual({
          code: Code.PERMISSION_DENIED,
          message: `access denied by policy to get "${key}" from "ruled"`,
        });
      }
      const { one: _, ...others } = backend.secrets;
      expect(await getBulk('ruled')).toEqual(others);
    });

    it('has answered with many calls at once', async () => {
      const answers = await Promise.all(Array.from({ length: 50 }, () => get('one')));
      expect(answers).toEqual(answers.map(() => backend.secrets['one']));
    });
  });
}
