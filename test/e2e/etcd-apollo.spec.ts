import * as pb from '../../components-bridge/src/gen/layotto/bridge/v1/sequencer_pb.js';
import type { ApolloStandIn } from '../../tools/apollo/stand-in.js';
import { APP, metadataFor, startApollo } from '../support/apollo-fixture.js';
import { readLayotto, saveLayotto } from '../support/configuration-calls.js';
import { subscribeLayotto } from '../support/configuration-streams.js';
import { LAYOTTO } from '../support/doors.js';
import { startEtcd } from '../support/etcd-server.js';
import type { EtcdServer } from '../support/etcd-server.js';
import type { RawClient } from '../support/grpc-raw.js';
import { httpJson } from '../support/http1.js';
import { GrpcLockDoor, HttpLockDoor } from '../support/locks.js';
import { Runtime } from '../support/runtime.js';
import { eventually } from '../support/wait.js';

const { WEAK, STRONG } = pb.SequencerOptions_AutoIncrement;

/** One Envoy and one bridge whose stores are all on etcd, and configuration on Apollo as well. */
describe('etcd and Apollo through a real Envoy', () => {
  let etcd: EtcdServer;
  let apollo: ApolloStandIn;
  let runtime: Runtime;
  let client: RawClient;
  const open: { close(): void }[] = [];

  beforeAll(async () => {
    [etcd, apollo] = await Promise.all([startEtcd(), startApollo()]);
    apollo.release(APP, 'application', { greeting: 'hello' });
    const metadata = { endpoints: etcd.address };
    runtime = await Runtime.start({
      components: [
        { name: 'states', type: 'state.etcd', metadata },
        { name: 'locks', type: 'lock.etcd', metadata },
        {
          name: 'ids',
          type: 'sequencer.etcd',
          metadata: {
            ...metadata,
            segmentCacheEnable: 'true',
            segmentStep: '50',
            biggerThan: '{"orders": 1000}',
          },
        },
        { name: 'settings', type: 'configuration.etcd', metadata },
        { name: 'apollo', type: 'configuration.apollo', metadata: metadataFor(apollo) },
      ],
    });
    client = await runtime.connect();
  });

  afterEach(() => {
    for (const stream of open.splice(0)) stream.close();
  });

  afterAll(async () => {
    await runtime?.stop();
    await apollo?.stop();
    await etcd?.stop();
  });

  async function next(key: string, increment: number): Promise<bigint> {
    const answer = await client.unary(
      `${LAYOTTO}/GetNextId`,
      pb.GetNextIdRequestSchema,
      { storeName: 'ids', key, options: { increment } },
      pb.GetNextIdResponseSchema,
    );
    expect([answer.grpcStatus, answer.grpcMessage]).toEqual([0, '']);
    return BigInt(answer.message?.nextId ?? 0);
  }

  const idsAnsweredInEnvoy = async (): Promise<number> => {
    const stats = await runtime.stats(/layotto_sequencer_weak_ids_total;source=envoy/);
    return Object.values(stats).reduce((sum, value) => sum + value, 0);
  };

  test('state: saved, read and guarded by its ETag', async () => {
    const { target } = runtime;
    const path = '/v1.0/state/states';
    expect((await httpJson(target, 'POST', path, [{ key: 'k', value: { n: 1 } }])).status).toBe(204);
    const read = await httpJson(target, 'GET', `${path}/k`);
    expect([read.status, read.json]).toEqual([200, { n: 1 }]);
    const etag = String(read.headers['etag']);
    const guarded = { key: 'k', value: 2, options: { concurrency: 'first-write' } };
    expect((await httpJson(target, 'POST', path, [{ ...guarded, etag }])).status).toBe(204);
    expect((await httpJson(target, 'POST', path, [{ ...guarded, etag }])).status).toBe(409);
    expect((await httpJson(target, 'GET', `${path}/k`)).json).toBe(2);
  });

  test('lock: one owner, whichever door it came through, and growing tokens', async () => {
    const grpc = GrpcLockDoor.layotto(client);
    const http = new HttpLockDoor(runtime.target);
    const first = (await grpc.tryLock('locks', 'r', 'a', 100)) ?? 0n;
    expect(await http.tryLock('locks', 'r', 'b', 100)).toBeUndefined();
    expect(await http.unlock('locks', 'r', 'b')).not.toBe(0);
    expect(await http.unlock('locks', 'r', 'a')).toBe(0);
    expect(await http.tryLock('locks', 'r', 'b', 100)).toBeGreaterThan(first);
  });

  test('sequencer: above biggerThan, WEAK ids out of runs in Envoy, STRONG ones above all that were taken', async () => {
    expect(await next('orders', STRONG)).toBe(1001n);
    const before = await idsAnsweredInEnvoy();
    const ids: bigint[] = [];
    for (let count = 0; count < 200; count++) ids.push(await next('orders', WEAK));
    expect(new Set(ids).size).toBe(200);
    expect(ids.every((id) => id > 1001n)).toBe(true);
    expect(await next('orders', STRONG)).toBeGreaterThan(ids.reduce((a, b) => (a > b ? a : b)));
    await eventually('most were given by Envoy', async () => (await idsAnsweredInEnvoy()) - before > 100);
  });

  test('configuration: saved on etcd, and a change is pushed', async () => {
    const save = (content: string): Promise<unknown> =>
      saveLayotto(client, { storeName: 'settings', appId: 'shop', items: [{ key: 'colour', content }] });
    await save('red');
    const read = { storeName: 'settings', appId: 'shop', keys: ['colour'] };
    expect((await readLayotto(client, read)).contents).toEqual({ colour: 'red' });
    const stream = subscribeLayotto(runtime.port, read);
    open.push(stream);
    let count = 0;
    await eventually('a change is pushed', async () => {
      await save(`blue ${++count}`);
      return stream.received.length > 0;
    });
    await save('green');
    await eventually('the last is pushed', () => stream.received.at(-1)?.items[0]?.content === 'green');
  });

  test('configuration: released and saved on Apollo, and a change is pushed', async () => {
    const read = { storeName: 'apollo', keys: ['greeting'] };
    expect((await readLayotto(client, read)).contents).toEqual({ greeting: 'hello' });
    const stream = subscribeLayotto(runtime.port, read);
    open.push(stream);
    let count = 0;
    await eventually('a release is pushed', () => {
      apollo.release(APP, 'application', { greeting: `hello ${++count}` });
      return stream.received.length > 0;
    });
    const items = [{ key: 'greeting', content: 'bonjour' }];
    const saved = await saveLayotto(client, { storeName: 'apollo', items });
    expect([saved.grpcStatus, saved.grpcMessage]).toEqual([0, '']);
    expect((await readLayotto(client, read)).contents).toEqual({ greeting: 'bonjour' });
    await eventually('it is pushed', () => stream.received.at(-1)?.items[0]?.content === 'bonjour');
  });
});
