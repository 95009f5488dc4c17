import { DAPR, GrpcStateDoor, HttpStateDoor, LAYOTTO, type StateDoor } from '../support/doors.js';
import { EMBEDDED, redisComponent, Runtime } from '../support/runtime.js';
import { startStore, type StoreServer } from '../support/store-servers.js';
import { eventually } from '../support/wait.js';

describe.each([1, 2])('state on %i worker(s)', (concurrency) => {
  let server: StoreServer;
  let runtime: Runtime;
  let doors: StateDoor[];

  beforeAll(async () => {
    server = await startStore('redis');
    runtime = await Runtime.start({
      concurrency,
      components: [{ ...EMBEDDED, name: 'embedded' }, redisComponent(server.port, { name: 'redis' })],
    });
    doors = [
      new GrpcStateDoor('Layotto gRPC', await runtime.connect(), LAYOTTO),
      new GrpcStateDoor('Dapr gRPC', await runtime.connect(), DAPR),
      new HttpStateDoor(runtime.target),
    ];
  });

  afterAll(async () => {
    await runtime?.stop();
    await server?.stop();
  });

  describe.each(['embedded', 'redis'])('on %s', (store) => {
    describe.each([0, 1, 2])('through door %i', (index) => {
      let door: StateDoor;
      const key = (name: string): string => `${name}-${index}`;
      const ok = { code: 0, message: '' };

      beforeAll(() => {
        door = doors[index] as StateDoor;
      });

      test('saves, reads and deletes', async () => {
        expect(await door.get(store, key('a'))).toMatchObject({ code: 0, value: '', etag: '' });
        expect(await door.save(store, [{ key: key('a'), value: '{"n":1}' }])).toEqual(ok);
        expect(await door.get(store, key('a'))).toMatchObject({ code: 0, value: '{"n":1}', etag: '1' });
        expect(await door.save(store, [{ key: key('a'), value: '{"n":2}' }])).toEqual(ok);
        expect(await door.get(store, key('a'))).toMatchObject({ value: '{"n":2}', etag: '2' });
        expect(await door.delete(store, key('a'))).toEqual(ok);
        expect(await door.get(store, key('a'))).toMatchObject({ code: 0, value: '', etag: '' });
        expect(await door.delete(store, key('a'))).toEqual(ok);
      });

      test('refuses stale ETags', async () => {
        await door.save(store, [{ key: key('e'), value: '1' }]);
        expect(await door.save(store, [{ key: key('e'), value: '2', etag: '1' }])).toEqual(ok);
        const stale = await door.save(store, [{ key: key('e'), value: '3', etag: '1' }]);
        expect(stale.code).toBe(door.mismatch);
        expect(stale.message).toMatch(
          `failed saving state in state store ${store}: possible etag mismatch. error from state store: `,
        );
        expect((await door.delete(store, key('e'), '1')).code).toBe(door.mismatch);
        expect(await door.get(store, key('e'))).toMatchObject({ value: '2', etag: '2' });
        expect(await door.delete(store, key('e'), '2')).toEqual(ok);
      });

      test('creates once with first-write', async () => {
        expect(await door.save(store, [{ key: key('f'), value: '1', firstWrite: true }])).toEqual(ok);
        expect(await door.save(store, [{ key: key('f'), value: '2', firstWrite: true }])).not.toEqual(ok);
        expect(await door.get(store, key('f'))).toMatchObject({ value: '1', etag: '1' });
      });

      test('reads many keys in the order asked', async () => {
        await door.save(store, [
          { key: key('b1'), value: '1' },
          { key: key('b2'), value: '2' },
        ]);
        expect(await door.bulkGet(store, [key('b2'), key('none'), key('b1')])).toEqual([
          { key: key('b2'), value: '2', etag: '1' },
          { key: key('none'), value: '', etag: '' },
          { key: key('b1'), value: '1', etag: '1' },
        ]);
      });

      test('performs a transaction whole or not at all', async () => {
        const [x, y, z] = [key('x'), key('y'), key('z')];
        await door.save(store, [{ key: y, value: '1' }]);
        const good = await door.transaction(store, [
          { key: x, value: '1' },
          { key: y, delete: true },
        ]);
        expect(good).toEqual(ok);
        expect(await door.get(store, x)).toMatchObject({ value: '1' });
        expect(await door.get(store, y)).toMatchObject({ etag: '' });
        const bad = await door.transaction(store, [
          { key: z, value: '1' },
          { key: x, value: '9', etag: '99' },
        ]);
        expect(bad.code).not.toBe(0);
        expect(await door.get(store, z)).toMatchObject({ value: '', etag: '' });
        expect(await door.get(store, x)).toMatchObject({ value: '1', etag: '1' });
      });

      test('lets a value expire', async () => {
        await door.save(store, [{ key: key('t'), value: '1', ttlInSeconds: 1 }]);
        expect(await door.get(store, key('t'))).toMatchObject({ value: '1' });
        await eventually('the value expires', async () => (await door.get(store, key('t'))).etag === '');
      });
    });

    test('what one door saves, the others read', async () => {
      for (const [index, writer] of doors.entries()) {
        await writer.save(store, [{ key: `shared-${index}`, value: '[1,"x"]' }]);
        for (const reader of doors) {
          expect(await reader.get(store, `shared-${index}`)).toMatchObject({ value: '[1,"x"]', etag: '1' });
        }
      }
    });

    test('deletes many keys over gRPC', async () => {
      for (const door of doors) {
        if (!(door instanceof GrpcStateDoor)) continue;
        await door.save(store, [
          { key: 'd1', value: '1' },
          { key: 'd2', value: '2' },
        ]);
        expect(await door.deleteBulk(store, [{ key: 'd1' }, { key: 'd2' }])).toEqual({
          code: 0,
          message: '',
        });
        expect((await door.bulkGet(store, ['d1', 'd2'])).map(({ etag }) => etag)).toEqual(['', '']);
      }
    });

    test('carries values up to the message limit', async () => {
      // A JSON string, one byte of framing or field header short of 4 MiB in the largest message.
      const value = JSON.stringify('v'.repeat(4 * 1024 * 1024 - 1024));
      for (const door of doors) {
        expect(await door.save(store, [{ key: 'large', value }])).toEqual({ code: 0, message: '' });
        expect((await door.get(store, 'large')).value).toHaveLength(value.length);
      }
    });

    test('many calls at once keep their answers apart', async () => {
      const calls = Array.from({ length: 64 }, (_, index) => index);
      for (const door of doors) {
        await Promise.all(calls.map((n) => door.save(store, [{ key: `many-${n}`, value: `${n}` }])));
        const read = await Promise.all(calls.map((n) => door.get(store, `many-${n}`)));
        expect(read.map(({ value }) => value)).toEqual(calls.map(String));
      }
    });
  });
});
