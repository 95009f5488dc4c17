import * as pb from '../../components-bridge/src/gen/layotto/bridge/v1/lock_pb.js';
import { LAYOTTO } from '../support/doors.js';
import type { RawClient } from '../support/grpc-raw.js';
import { http1 } from '../support/http1.js';
import { GrpcLockDoor, HttpLockDoor, type LockDoor } from '../support/locks.js';
import { Runtime } from '../support/runtime.js';
import { startStore, type StoreServer } from '../support/store-servers.js';
import { eventually } from '../support/wait.js';

const LONG = 100;
const LATE = { timeoutMs: 15_000 };

describe('locks', () => {
  let server: StoreServer;
  let runtime: Runtime;
  let client: RawClient;
  let doors: LockDoor[];

  beforeAll(async () => {
    server = await startStore('redis');
    runtime = await Runtime.start({
      concurrency: 2,
      components: [
        { name: 'embedded', type: 'lock.embedded' },
        { name: 'redis', type: 'lock.redis', metadata: { redisHost: `127.0.0.1:${server.port}` } },
      ],
    });
    client = await runtime.connect();
    doors = [
      GrpcLockDoor.layotto(client),
      GrpcLockDoor.dapr(await runtime.connect()),
      new HttpLockDoor(runtime.target),
    ];
  });

  afterAll(async () => {
    await runtime?.stop();
    await server?.stop();
  });

  async function keepAlive(storeName: string, resourceId: string, lockOwner: string, expire: number) {
    const request = { storeName, resourceId, lockOwner, expire };
    const path = `${LAYOTTO}/LockKeepAlive`;
    const answer = await client.unary(
      path,
      pb.LockKeepAliveRequestSchema,
      request,
      pb.LockKeepAliveResponseSchema,
    );
    expect(answer.grpcStatus).toBe(0);
    return answer.message?.status;
  }

  test.each(['embedded', 'redis'])('%s: each race through all doors has one winner', async (store) => {
    let last = 0n;
    for (let round = 0; round < 30; round++) {
      const runners = Array.from({ length: 9 }, (_, index) => ({
        door: doors[index % doors.length] as LockDoor,
        owner: `${round}/${index}`,
      }));
      const tokens = await Promise.all(
        runners.map(({ door, owner }) => door.tryLock(store, 'race', owner, LONG)),
      );
      const winners = runners.filter((_, index) => tokens[index] !== undefined);
      expect(winners).toHaveLength(1);
      const token = tokens.find((given) => given !== undefined) ?? 0n;
      expect(token).toBeGreaterThan(last);
      last = token;
      // Whoever has it may give it back through any door, and nobody else may through none.
      const door = doors[round % doors.length] as LockDoor;
      expect(await door.unlock(store, 'race', 'somebody else')).toBe(2);
      expect(await door.unlock(store, 'race', winners[0]?.owner ?? '')).toBe(0);
      expect(await door.unlock(store, 'race', winners[0]?.owner ?? '')).toBe(1);
    }
  });

  test.each(['embedded', 'redis'])('%s: a lock lasts as long as it is kept, and no longer', async (store) => {
    const [layotto, dapr, http] = doors as [LockDoor, LockDoor, LockDoor];
    const first = await layotto.tryLock(store, 'kept', 'a', 1);
    await layotto.tryLock(store, 'left', 'a', 1);
    expect(await keepAlive(store, 'kept', 'b', LONG)).toBe(2);
    expect(await keepAlive(store, 'kept', 'a', LONG)).toBe(0);
    await eventually('the other one is free', () => http.tryLock(store, 'left', 'b', LONG), LATE);
    expect(await dapr.tryLock(store, 'kept', 'b', LONG)).toBeUndefined();
    expect(await keepAlive(store, 'left', 'a', LONG)).toBe(2);
    expect(await keepAlive(store, 'nobody has it', 'a', LONG)).toBe(1);
    expect(await keepAlive(store, 'kept', 'a', 1)).toBe(0);
    const second = await eventually('it is free', () => dapr.tryLock(store, 'kept', 'b', LONG), LATE);
    expect(second).toBeGreaterThan(first ?? 0n);
  });

  test('a lock outlives the bridge, and the next token is greater', async () => {
    const [layotto, , http] = doors as [LockDoor, LockDoor, LockDoor];
    const tokens = await Promise.all(
      ['embedded', 'redis'].map(async (store) => {
        await layotto.tryLock(store, 'held', 'a', LONG);
        const token = await layotto.tryLock(store, 'given back', 'a', LONG);
        await layotto.unlock(store, 'given back', 'a');
        return token ?? 0n;
      }),
    );
    await runtime.killBridge();
    await runtime.restartBridge();
    await eventually('calls are answered again', async () => {
      await Promise.all(['embedded', 'redis'].map((store) => http.unlock(store, 'nothing', 'a')));
      return runtime.componentsReady();
    });
    // A call on another connection may reach a worker that has not been greeted yet.
    const tried = (store: string, resource: string) =>
      eventually(`${store} answers`, async () => [await http.tryLock(store, resource, 'b', LONG)]);
    for (const [index, store] of ['embedded', 'redis'].entries()) {
      expect(await tried(store, 'held')).toEqual([undefined]);
      const [token] = await tried(store, 'given back');
      expect(token).toBeGreaterThan(tokens[index] ?? 0n);
    }
  });

  test('a lock store that is away says so', async () => {
    const body = '{"resourceId":"r","lockOwner":"a","expiryInSeconds":5}';
    server.process.signal('SIGKILL');
    const answer = await eventually('it is found to be away', async () => {
      const got = await http1(runtime.target, 'POST', '/v1.0-alpha1/lock/redis', { body });
      return got.status === 503 && !got.body.includes('bridge is not connected') ? got : undefined;
    });
    expect(JSON.parse(answer.body)).toEqual({
      errorCode: 'ERR_TRY_LOCK',
      message: expect.stringMatching(
        /^failed to try acquiring lock: lock store redis is not ready: 127\.0\.0\.1/,
      ) as string,
    });
    expect(await doors[0]?.tryLock('embedded', 'goes on', 'a', LONG)).toBeGreaterThan(0n);
  });
});
