import * as pb from '../../components-bridge/src/gen/layotto/bridge/v1/configuration_pb.js';
import type { Change } from '../../components-bridge/src/primitives/configuration/watched-query.js';
import { Code } from '../../components-bridge/src/primitives/errors.js';
import { EtcdCluster, startEtcd } from '../support/etcd-server.js';
import type { EtcdServer } from '../support/etcd-server.js';
import { Rooms } from '../support/rooms.js';
import { eventually } from '../support/wait.js';
import { LockClient } from './lock.js';
import { SequencerClient } from './sequencer.js';
import { refused } from './state-client.js';
import { TcpProxy } from './tcp-proxy.js';

const GET = [pb.GetConfigurationRequestSchema, pb.GetConfigurationResponseSchema] as const;
const SAVE = [pb.SaveConfigurationRequestSchema, pb.SaveConfigurationResponseSchema] as const;

const open: { close(): unknown }[] = [];

afterEach(async () => {
  for (const one of open.splice(0).reverse()) await one.close();
});

async function server(): Promise<EtcdServer> {
  const started = await startEtcd();
  open.push({ close: () => started.stop() });
  return started;
}

async function rooms(
  endpoints: string,
  more: Record<string, string> = {},
  ids: Record<string, string> = {},
): Promise<Rooms> {
  const metadata = { endpoints, ...more };
  const opened = await Rooms.open([
    { name: 'locks', type: 'lock.etcd', form: 'layotto', metadata },
    { name: 'ids', type: 'sequencer.etcd', metadata: { ...metadata, ...ids } },
    { name: 'configs', type: 'configuration.etcd', metadata },
  ]);
  open.push(opened);
  return opened;
}

async function save(of: Rooms, ...items: object[]): Promise<void> {
  await of.call('Configuration/SaveConfiguration', SAVE, { storeName: 'configs', items });
}

const base64 = (text: string): string => Buffer.from(text).toString('base64');

/** Every key, with its value. */
async function kept(etcd: EtcdServer): Promise<Record<string, string>> {
  const range = { key: base64('\0'), range_end: base64('\0') };
  const { kvs = [] } = (await etcd.ask('kv/range', range)) as { kvs?: { key: string; value?: string }[] };
  const text = (value = ''): string => Buffer.from(value, 'base64').toString();
  return Object.fromEntries(kvs.map(({ key, value }) => [text(key), text(value)]));
}

async function leases(etcd: EtcdServer): Promise<number> {
  return ((await etcd.ask('lease/leases', {})) as { leases?: unknown[] }).leases?.length ?? 0;
}

/** Follows a key, and notes what is told. */
async function follow(of: Rooms, key: string): Promise<Change[]> {
  const told: Change[] = [];
  const follower = {
    changed: (changes: readonly Change[]) => void told.push(...changes),
    ended: () => undefined,
  };
  const following = of.watches.follow(
    'configs',
    { appId: '', metadata: {}, keys: [key], group: '', label: '' },
    follower,
  );
  open.push({ close: () => following.close() });
  // What is there now is not told.
  await following.query.firstTry;
  return told;
}

it('keeps everything where and as Layotto keeps it', async () => {
  const etcd = await server();
  const opened = await rooms(etcd.address);
  await new LockClient(opened).tryLock('resource', 'owner');
  await new SequencerClient(opened, 'ids').next('key');
  await save(
    opened,
    { key: 'plain', content: '1' },
    { key: 'a/b', content: '2', group: 'g', label: 'l', tags: { t: 'tag' } },
  );
  expect(await kept(etcd)).toEqual({
    '/layotto/lock|||app||resource': 'owner',
    '/layotto/sequencer|||app||key': '',
    '/app/default/default/plain': '1',
    '/app/g/l/a%2Fb': '2',
    '/app/g/l/a%2Fb/t': 'tag',
  });
});

/** What Layotto does for an id. @returns the id that it gives */
async function asLayotto(etcd: EtcdServer, key: string): Promise<bigint> {
  const at = base64(`/layotto/sequencer|||app||${key}`);
  const success = [{ request_put: { key: at, value: '' } }, { request_range: { key: at } }];
  const { responses } = (await etcd.ask('kv/txn', { success })) as {
    responses: { response_range?: { kvs: { version: string }[] } }[];
  };
  return BigInt(responses[1]?.response_range?.kvs[0]?.version ?? 0);
}

const RUNS = { segmentCacheEnable: 'true', segmentStep: '100' };

it('shares counters with Layotto, id by id, where none was moved', async () => {
  const etcd = await server();
  const ids = new SequencerClient(await rooms(etcd.address), 'ids');
  const given: bigint[] = [];
  for (let round = 0; round < 3; round++) {
    given.push(await asLayotto(etcd, 'k'), await ids.next('k'));
  }
  expect(given).toEqual([1n, 2n, 3n, 4n, 5n, 6n]);
  expect(Object.keys(await kept(etcd))).toEqual(['/layotto/sequencer|||app||k']);
});

it('goes on above the ids that Layotto gave, in runs and raised, and never back when Layotto writes again', async () => {
  const etcd = await server();
  for (let round = 0; round < 7; round++) await asLayotto(etcd, 'k');
  const ids = new SequencerClient(await rooms(etcd.address, {}, RUNS), 'ids');
  expect(await ids.segment('k')).toMatchObject({ from: 8n, to: 107n });
  expect(await ids.next('k')).toBe(108n);
  // Its id is one of our run: beside runs it must not count.
  expect(await asLayotto(etcd, 'k')).toBe(10n);
  expect(await ids.next('k')).toBe(110n);
  expect(await ids.segment('k')).toMatchObject({ from: 111n, to: 210n });
  const raised = await rooms(etcd.address, {}, { ...RUNS, biggerThan: '{"k": 1000, "never": 5}' });
  expect(await ids.segment('k')).toMatchObject({ from: 1001n, to: 1100n });
  expect(await new SequencerClient(raised, 'ids').next('k')).toBe(1101n);
  expect(await kept(etcd)).toMatchObject({ '/layotto/sequencer|||app||never||offset': '5' });
});

it('raises a counter once, however many bridges start together while ids are given', async () => {
  const etcd = await server();
  const ids = new SequencerClient(await rooms(etcd.address, {}, RUNS), 'ids');
  const seen: bigint[] = [];
  let starting = true;
  const given = (async (): Promise<void> => {
    while (starting) {
      seen.push(await ids.next('k'));
      const { from, to } = await ids.segment('k');
      seen.push(from, to);
    }
  })();
  const raised = Array.from({ length: 6 }, () =>
    rooms(etcd.address, {}, { biggerThan: '{"k": "1000000000"}' }),
  );
  await Promise.all(raised);
  const after = await ids.next('k');
  starting = false;
  await given;
  expect(after).toBeGreaterThan(1_000_000_000n);
  expect(after).toBeLessThan(1_001_000_000n);
  expect(new Set(seen).size).toBe(seen.length);
  expect([...seen].sort((a, b) => (a < b ? -1 : 1))).toEqual(seen);
});

it('gives no run beyond the last id, whatever single ones are given meanwhile', async () => {
  const etcd = await server();
  const last = 2n ** 63n - 1n;
  const keys = Array.from({ length: 20 }, (_, index) => `k${index}`);
  const biggerThan = JSON.stringify(Object.fromEntries(keys.map((key) => [key, String(last - 14n)])));
  const settings = { segmentCacheEnable: 'true', segmentStep: '10', biggerThan };
  const [one, other] = [await rooms(etcd.address, {}, settings), await rooms(etcd.address)];
  for (const key of keys) {
    const single = Array.from({ length: 8 }, () => new SequencerClient(other, 'ids').next(key));
    const runs = [new SequencerClient(one, 'ids').segment(key), new SequencerClient(one, 'ids').segment(key)];
    const given = (await Promise.allSettled([...single, ...runs])).flatMap((result) => {
      if (result.status === 'rejected') {
        expect(result.reason).toMatchObject({ code: Code.OUT_OF_RANGE });
        return [];
      }
      const { value } = result;
      return typeof value === 'bigint' ? [value] : [value.from, value.to];
    });
    // What is left is given one by one, to the very last.
    for (let more: bigint | undefined = 0n; more !== undefined;) {
      given.push(more);
      more = await new SequencerClient(other, 'ids').next(key).catch(() => undefined);
    }
    expect(given.reduce((a, b) => (a > b ? a : b))).toBe(last);
  }
}, 60_000);

it('gives no ids where the offset is not a number, and says so, until it is put right', async () => {
  const etcd = await server();
  const offset = { key: base64('/layotto/sequencer|||app||k||offset'), value: base64('-7') };
  await etcd.ask('kv/put', offset);
  const ids = new SequencerClient(await rooms(etcd.address, {}, RUNS), 'ids');
  const problem = 'the offset in etcd at /layotto/sequencer|||app||k||offset is not a number';
  for (const call of [ids.next('k'), ids.segment('k')])
    expect((await refused(call)).message).toContain(problem);
  const metadata = { endpoints: etcd.address, biggerThan: '{"k": 2}' };
  const waiting = await Rooms.open([{ name: 'ids', type: 'sequencer.etcd', metadata }], { wait: false });
  open.push(waiting);
  await eventually('it says why', () =>
    waiting.registry
      .health()
      .some(({ reason = '' }) => reason.includes(`biggerThan: ids of k are not greater than 2: ${problem}`)),
  );
  await etcd.ask('kv/put', { ...offset, value: base64('40') });
  await waiting.ready();
  expect(await new SequencerClient(waiting, 'ids').next('k')).toBeGreaterThan(40n);
});

it('takes another path, with or without its slashes', async () => {
  const etcd = await server();
  const opened = await rooms(etcd.address, { keyPrefixPath: 'mine' });
  await new LockClient(opened).tryLock('resource', 'owner');
  expect(Object.keys(await kept(etcd))).toEqual(['/mine/lock|||app||resource']);
});

it('leaves no leases of locks behind', async () => {
  const etcd = await server();
  const locks = new LockClient(await rooms(etcd.address));
  await locks.tryLock('r', 'a');
  for (let count = 0; count < 5; count++) {
    await locks.keepAlive('r', 'a');
    await locks.keepAlive('r', 'b');
    await locks.tryLock('r', 'b');
    await locks.unlock('r', 'b');
  }
  await eventually('one is left', async () => (await leases(etcd)) === 1);
  await locks.unlock('r', 'a');
  await eventually('none is left', async () => (await leases(etcd)) === 0);
});

it('refuses at once while etcd hangs, keeps its locks meanwhile, and goes on', async () => {
  const etcd = await server();
  const opened = await rooms(etcd.address, { timeout: '500ms' });
  const locks = new LockClient(opened);
  const first = await locks.tryLock('r', 'a');
  await etcd.process.freeze();
  await eventually('all are down', () => opened.registry.health().every(({ status }) => status === 'down'));
  const ids = new SequencerClient(opened, 'ids');
  for (const call of [
    () => locks.tryLock('r', 'b'),
    () => ids.next('k'),
    () => save(opened, { key: 'k', content: '' }),
  ]) {
    const started = performance.now();
    const { code, message } = await refused(call());
    expect(performance.now() - started).toBeLessThan(400);
    expect(code).toBe(Code.UNAVAILABLE);
    expect(message).toContain(`${etcd.address}: no answer in time`);
  }
  etcd.process.signal('SIGCONT');
  await opened.ready();
  expect(await locks.tryLock('r', 'b')).toBe(0n);
  expect(await locks.tryLock('r2', 'b')).toBeGreaterThan(first);
});

it('goes on hearing of changes when members die', async () => {
  const cluster = await EtcdCluster.start();
  open.push({ close: () => cluster.stop() });
  const opened = await rooms(cluster.addresses.join(','), { timeout: '1s' });
  const told = await follow(opened, 'k');
  await eventually('the first is told', async () => {
    await save(opened, { key: 'k', content: 'first' });
    return told.length > 0;
  });
  // Whichever is in use: one that hangs, and then is gone.
  await cluster.members[0]?.freeze();
  await eventually('it is saved', () => save(opened, { key: 'k', content: 'second' }).then(() => true));
  await eventually('the second is told', () => told.at(-1)?.item.content === 'second');
  cluster.members[0]?.signal('SIGCONT');
  await eventually(
    'it is there again',
    async () => (await fetch(`http://${cluster.addresses[0]}/health`)).ok,
  );
  cluster.members[1]?.signal('SIGKILL');
  await eventually('it is saved', () => save(opened, { key: 'k', content: 'third' }).then(() => true));
  await eventually('the third is told', () => told.at(-1)?.item.content === 'third');
}, 60_000);

it('tells after a lost connection what changed, although etcd has forgotten the way there', async () => {
  const etcd = await server();
  const proxy = await TcpProxy.start(etcd.port);
  open.push({ close: () => proxy.stop() });
  const far = await rooms(`127.0.0.1:${proxy.port}`);
  const near = await rooms(etcd.address);
  const told = await follow(far, 'k');
  await save(near, { key: 'k', content: 'before' });
  await eventually('it is told', () => told.at(-1)?.item.content === 'before');
  proxy.pointAt(0);
  proxy.cut();
  for (let count = 0; count < 10; count++) await save(near, { key: 'k', content: String(count) });
  const { header } = (await etcd.ask('kv/range', { key: base64('k') })) as { header: { revision: string } };
  await etcd.ask('kv/compaction', { revision: header.revision, physical: true });
  proxy.pointAt(etcd.port);
  await eventually('the latest is told', () => told.at(-1)?.item.content === '9', { timeoutMs: 2_500 });
  await save(near, { key: 'k', content: 'after' });
  await eventually('it hears again', () => told.at(-1)?.item.content === 'after');
});

it('reads more than fits into one answer, as it was at one moment', async () => {
  const etcd = await server();
  const opened = await rooms(etcd.address);
  const items = Array.from({ length: 900 }, (_, index) => ({ key: `key-${index}`, content: String(index) }));
  await save(opened, ...items);
  const found = (await opened.call('Configuration/GetConfiguration', GET, { storeName: 'configs' })).items;
  expect(found).toHaveLength(900);
});

it('refuses what etcd cannot keep, and says why', async () => {
  const etcd = await server();
  const opened = await rooms(etcd.address);
  const tags = Object.fromEntries(Array.from({ length: 61 }, (_, index) => [`t${index}`, '']));
  expect(await refused(save(opened, { key: 'k', content: 'x', tags }))).toEqual({
    code: Code.INVALID_ARGUMENT,
    message: 'item k has 61 tags; at most 60 fit',
  });
  expect(await refused(save(opened, { key: 'k', content: 'x'.repeat(1_600_000) }))).toMatchObject({
    code: Code.INVALID_ARGUMENT,
    message: expect.stringContaining('an item is larger than etcd takes') as string,
  });
  expect(await kept(etcd)).toEqual({});
});
