import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { Code } from '../../components-bridge/src/primitives/errors.js';
import { EtcdCluster, startEtcd } from '../support/etcd-server.js';
import type { EtcdServer } from '../support/etcd-server.js';
import { freePort } from '../support/ports.js';
import { certificate, pem } from '../support/tls-front.js';
import { eventually } from '../support/wait.js';
import { etag, item, refused, StateClient } from './state-client.js';
import type { ClientOptions, Item } from './state-client.js';

const open: { close(): Promise<void> }[] = [];

afterEach(async () => {
  for (const one of open.splice(0).reverse()) await one.close();
});

async function server(...args: Parameters<typeof startEtcd>): Promise<EtcdServer> {
  const started = await startEtcd(...args);
  open.push({ close: () => started.stop() });
  return started;
}

async function client(
  endpoints: string,
  metadata: Record<string, string> = {},
  more: Partial<ClientOptions> = {},
): Promise<StateClient> {
  const state = await StateClient.open({ type: 'state.etcd', metadata: { endpoints, ...metadata }, ...more });
  open.push(state);
  return state;
}

const base64 = (text: string): string => Buffer.from(text).toString('base64');
const expiring = (key: string, seconds: string): Item =>
  item(key, 'x', { metadata: { ttlInSeconds: seconds } });

async function leases(etcd: EtcdServer): Promise<number> {
  const { leases: list = [] } = (await etcd.ask('lease/leases', {})) as { leases?: unknown[] };
  return list.length;
}

describe('state.etcd and its server', () => {
  it('refuses at once while it is away, saying why, and is back by itself', async () => {
    const port = await freePort();
    const first = await startEtcd({ port });
    const state = await client(first.address);
    await state.save(item('k', 'v'));
    await first.stop();
    await state.until('down');
    const started = performance.now();
    const { code, message } = await refused(state.get('k'));
    expect(performance.now() - started).toBeLessThan(100);
    expect(code).toBe(Code.UNAVAILABLE);
    expect(message).toContain(`state store store is not ready: 127.0.0.1:${port}: connect ECONNREFUSED`);
    await server({ port });
    await state.until('ready');
    expect(await state.get('k')).toEqual({ data: '', etag: '' });
  });

  it('waits for a server that is not there yet', async () => {
    const port = await freePort();
    const state = await client(`127.0.0.1:${port}`, {}, { wait: false });
    await eventually('the reason is known', () => state.health.reason?.includes('ECONNREFUSED'));
    await server({ port });
    await state.until('ready');
    await state.save(item('k', 'v'));
  });

  it('gives up on a server that hangs, and goes on when it does', async () => {
    const etcd = await server();
    const state = await client(etcd.address, { timeout: '500ms' });
    await etcd.process.freeze();
    const waiting = refused(state.get('k'));
    expect(await waiting).toMatchObject({ code: Code.UNAVAILABLE });
    expect((await waiting).message).toContain(`${etcd.address}: no answer in time`);
    await state.until('down');
    const started = performance.now();
    expect((await refused(state.save(item('k', 'v')))).code).toBe(Code.UNAVAILABLE);
    expect(performance.now() - started).toBeLessThan(100);
    etcd.process.signal('SIGCONT');
    await state.until('ready');
    await state.save(item('k', 'v'));
  });

  it('goes to another member when the one in use dies, and keeps everything acknowledged', async () => {
    const cluster = await EtcdCluster.start();
    open.push({ close: () => cluster.stop() });
    const state = await client(cluster.addresses.join(';'));
    await state.save(item('k', '0'));
    for (const dead of [0, 1]) {
      cluster.members[dead]?.signal('SIGKILL');
      await cluster.members[dead]?.exited;
      if (dead === 1) break;
      for (let count = 1; count <= 20; count++) {
        await eventually('it is saved', () => state.save(item('k', String(count))).then(() => true));
      }
      expect((await state.get('k')).data).toBe('20');
    }
    // One of three has no quorum: it answers, but cannot be asked.
    await state.until('down');
    expect((await refused(state.get('k'))).code).toBe(Code.UNAVAILABLE);
  }, 60_000);

  it('asks as the user it was given, also after the server started anew', async () => {
    const dir = await mkdtemp(join(tmpdir(), 'etcd-users-'));
    open.push({ close: () => rm(dir, { recursive: true, force: true }) });
    const port = await freePort();
    const etcd = await startEtcd({ port, dir });
    await etcd.ask('auth/user/add', { name: 'root', password: 'top' });
    await etcd.ask('auth/role/add', { name: 'root' });
    await etcd.ask('auth/user/grant', { user: 'root', role: 'root' });
    await etcd.ask('auth/user/add', { name: 'app', password: 'secret' });
    await etcd.ask('auth/role/add', { name: 'apps' });
    const range = { key: base64('/app||'), range_end: base64('/app|}') };
    await etcd.ask('auth/role/grant', { name: 'apps', perm: { permType: 'READWRITE', ...range } });
    await etcd.ask('auth/user/grant', { user: 'app', role: 'apps' });
    const { revision } = (await etcd.ask('kv/range', { key: base64('k') })).header as { revision: string };
    await etcd.ask('auth/enable', {});

    const state = await client(etcd.address, { username: 'app', password: 'secret' });
    await state.save(item('k', 'v', etag(revision)), expiring('short', '100'));
    expect((await state.get('k')).data).toBe('v');

    // A server that starts anew knows no token any more.
    await etcd.stop();
    await state.until('down');
    await server({ port, dir });
    await state.until('ready');
    expect((await state.get('k')).data).toBe('v');

    const elsewhere = await client(etcd.address, {
      username: 'app',
      password: 'secret',
      keyPrefixPath: '/other',
    });
    expect(await refused(elsewhere.get('k'))).toEqual({
      code: Code.INTERNAL,
      message: 'etcdserver: permission denied',
    });
    for (const [metadata, reason] of [
      [{ username: 'app', password: 'wrong' }, 'authentication failed, invalid user ID or password'],
      [{}, 'user name is empty; set username and password'],
    ] as const) {
      const outside = await client(etcd.address, metadata, { wait: false });
      await eventually('the reason is known', () => outside.health.reason?.includes(reason));
    }
  }, 30_000);

  it.each<[string, { clientCa?: string }, Record<string, string>]>([
    ['a certificate of the CA', {}, { ca: certificate('ca.pem') }],
    ["the CA in Layotto's key, as text", {}, { tlsCa: pem('ca.pem') }],
    [
      "the client's own certificate",
      { clientCa: certificate('ca.pem') },
      { tlsEnable: 'true', ca: pem('ca.pem'), cert: pem('client.pem'), key: certificate('client.key') },
    ],
  ])('speaks TLS with %s', async (_, options, metadata) => {
    const etcd = await server({
      tls: { cert: certificate('server.pem'), key: certificate('server.key'), ...options },
    });
    const state = await client(etcd.address, metadata);
    await state.save(item('k', 'v'));
    expect((await state.get('k')).data).toBe('v');
  });

  it.each<[string, { as?: string; clientCa?: string }, Record<string, string>, string]>([
    ['the CA is not known', {}, { tlsEnable: 'true' }, 'name it in ca'],
    ['the name is another', { as: 'elsewhere' }, { ca: certificate('ca.pem') }, 'give it in tlsServerName'],
    ['TLS was not asked for', {}, {}, 'if it speaks TLS, set tlsEnable'],
  ])('says what to do when %s', async (_, { as = 'server' }, metadata, reason) => {
    const etcd = await server({ tls: { cert: certificate(`${as}.pem`), key: certificate(`${as}.key`) } });
    const state = await client(etcd.address, metadata, { wait: false });
    await eventually('the reason is known', () => {
      if (!state.health.reason?.includes(reason)) throw new Error(state.health.reason);
      return true;
    });
  });

  it('names the key of a file that is not there', async () => {
    const state = await client('127.0.0.1:1', { ca: '/nowhere/ca.pem' }, { wait: false });
    await eventually('the reason is known', () =>
      state.health.reason?.includes('ca: expected PEM text or a file'),
    );
  });
});

describe('state.etcd', () => {
  let etcd: EtcdServer;

  beforeAll(async () => {
    etcd = await startEtcd();
  });

  afterAll(() => etcd?.stop());

  it('says that a value is larger than etcd takes, and keeps the old one', async () => {
    const state = await client(etcd.address);
    await state.save(item('large', 'small'));
    for (const size of [1_600_000, 3_000_000]) {
      expect(await refused(state.save({ key: 'large', value: Buffer.alloc(size) }))).toEqual({
        code: Code.RESOURCE_EXHAUSTED,
        message: expect.stringContaining(
          `${size} bytes of values are more than etcd takes at once (the server's --max-request-bytes`,
        ) as string,
      });
    }
    expect((await state.get('large')).data).toBe('small');
  });

  it('says that a transaction has more operations than etcd takes, whether or not it knows the limit', async () => {
    const many = Array.from({ length: 200 }, (_, index) => ({ upsert: item(`many-${index}`, 'x') }));
    const state = await client(etcd.address);
    expect(await refused(state.transact(...many))).toMatchObject({
      code: Code.RESOURCE_EXHAUSTED,
      message: expect.stringContaining('200 operations are more than the 126 of one transaction') as string,
    });
    const wrong = await client(etcd.address, { maxTxnOps: '1000' });
    expect((await refused(wrong.transact(...many))).message).toContain('set maxTxnOps');
    expect((await state.get('many-0')).etag).toBe('');
  });

  it('keeps values where and as Dapr keeps them, and reads what others put there', async () => {
    const state = await client(etcd.address, { keyPrefixPath: '/dapr' }, { appId: 'shop' });
    await state.save(item('k', 'v'));
    const { kvs } = (await etcd.ask('kv/range', { key: base64('/dapr/shop||k') })) as {
      kvs: { value: string; mod_revision: string }[];
    };
    expect(kvs).toMatchObject([{ value: base64('v') }]);
    expect((await state.get('k')).etag).toBe(kvs[0]?.mod_revision);
    await etcd.ask('kv/put', { key: base64('/dapr/shop||other'), value: base64('"text"') });
    expect((await state.get('other')).data).toBe('"text"');
  });

  it('keeps values in an envelope as version v2', async () => {
    const state = await client(etcd.address, {}, { version: 'v2' });
    await state.save(item('enveloped', 'v'), expiring('enveloped-short', '300'));
    expect((await state.get('enveloped')).data).toBe('v');
    const { kvs } = (await etcd.ask('kv/range', { key: base64('/app||enveloped') })) as {
      kvs: { value: string }[];
    };
    expect(
      Buffer.from(kvs[0]?.value ?? '', 'base64')
        .subarray(0, 4)
        .toString('hex'),
    ).toBe('0a017612');
    await etcd.ask('kv/put', { key: base64('/app||plain'), value: base64('{}') });
    const { code, message } = await refused(state.get('plain'));
    expect(code).toBe(Code.INTERNAL);
    expect(message).toContain('is not a value of state.etcd v2');
  });

  it('leaves no leases behind', async () => {
    const state = await client(etcd.address);
    const before = await leases(etcd);
    for (let count = 0; count < 5; count++) await state.save(expiring('a', '1000'));
    await eventually('one is left', async () => (await leases(etcd)) === before + 1);
    const wrong = item('a', 'x', { metadata: { ttlInSeconds: '1000' }, ...etag('999999999') });
    expect((await refused(state.save(wrong))).code).toBe(Code.ABORTED);
    await state.transact({ upsert: expiring('b', '1000') }, { upsert: expiring('a', '1000') });
    await eventually('two are left', async () => (await leases(etcd)) === before + 2);
    await state.save(expiring('a', '0'));
    await state.delete('b');
    await eventually('none is left', async () => (await leases(etcd)) === before);
    expect((await state.get('a')).data).toBe('x');
  });

  it('does not end the lease of another client with a key of its own', async () => {
    const state = await client(etcd.address);
    const { ID } = (await etcd.ask('lease/grant', { TTL: 1000 })) as { ID: string };
    for (const key of ['/app||shared', '/theirs']) {
      await etcd.ask('kv/put', { key: base64(key), value: base64('x'), lease: ID });
    }
    await state.delete('shared');
    // Leases are given back one after the other: when a later one is, this one would have been.
    const before = await leases(etcd);
    await state.save(expiring('later', '1000'));
    await state.delete('later');
    await eventually('the later one is given back', async () => (await leases(etcd)) === before);
    expect((await etcd.ask('kv/range', { key: base64('/theirs') })).count).toBe('1');
  });
});
