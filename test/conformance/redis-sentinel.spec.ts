import { Code } from '../../components-bridge/src/primitives/errors.js';
import { countWrites } from '../support/count-writes.js';
import { freePort } from '../support/ports.js';
import { SentinelServers } from '../support/sentinel-servers.js';
import { eventually } from '../support/wait.js';
import { item, refused, StateClient, STRONG } from './state-client.js';

const PASSWORDS = { servers: 'one', sentinels: 'another' };

describe('state.redis by Sentinel', () => {
  let group: SentinelServers;
  const open: { close(): Promise<void> }[] = [];

  beforeAll(async () => {
    group = await SentinelServers.start({ passwords: PASSWORDS });
  }, 40_000);

  afterEach(async () => {
    for (const one of open.splice(0).reverse()) await one.close();
  });

  afterAll(() => group?.stop());

  async function client(metadata: Record<string, string> = {}, wait = true): Promise<StateClient> {
    const all = { ...group.metadata, ...metadata };
    const state = await StateClient.open({ type: 'state.redis', metadata: all, wait });
    open.push(state);
    return state;
  }

  it('writes to the primary, in one write for what comes together', async () => {
    const state = await client();
    const keys = Array.from({ length: 200 }, (_, index) => `key-${index}`);
    await state.save(...keys.map((key) => item(key, key)));
    const primary = await group.primary();
    expect(await group.askServer(primary, (redis) => redis.dbsize())).toBe(200);
    // As many as a bulk read asks for at a time.
    expect(await countWrites([primary.port], () => state.bulk(keys.slice(0, 16)))).toBe(1);
  });

  it('is served while a Sentinel answers', async () => {
    const dead = await freePort();
    const [alive] = group.addresses.split(',').reverse();
    const state = await client({ redisHost: `127.0.0.1:${dead},${alive}` });
    await state.save(item('k', 'v'));
  });

  it.each<[string, Record<string, string>, RegExp]>([
    [
      'a name that they do not know',
      { sentinelMasterName: 'other' },
      /knows no primary.*check sentinelMasterName$/,
    ],
    ['no password for them', { sentinelPassword: '' }, /Sentinel 127\.0\.0\.1:\d+: NOAUTH/],
    ['a wrong password for them', { sentinelPassword: 'x' }, /Sentinel 127\.0\.0\.1:\d+: WRONGPASS/],
    ['a wrong password for the primary', { redisPassword: 'x' }, /WRONGPASS/],
    [
      'no Sentinel at all',
      { redisHost: '127.0.0.1:1,127.0.0.1:2' },
      /Sentinel 127\.0\.0\.1:1: .*ECONNREFUSED .*; Sentinel 127\.0\.0\.1:2: .*ECONNREFUSED/,
    ],
  ])('says what is wrong with %s', async (_, metadata, reason) => {
    const state = await client(metadata, false);
    await eventually('a reason is given', () => state.health.reason);
    const { code, message } = await refused(state.get('k'));
    expect(code).toBe(Code.UNAVAILABLE);
    expect(message).toMatch(
      /^state store store is not ready: (main|other) by Sentinel 127\.0\.0\.1:\d+(, 127\.0\.0\.1:\d+)*: /,
    );
    expect(message).toMatch(reason);
  });

  it('goes to the new primary when the old one is replaced while it lives', async () => {
    const state = await client();
    await state.save(item('k', '1', STRONG));
    const old = await group.primary();
    await group.askSentinel('FAILOVER', group.name);
    await eventually('another is primary', async () => (await group.primary()) !== old, {
      timeoutMs: 20_000,
    });
    await eventually('writes are taken', () => succeeds(state.save(item('k', '2', STRONG))), {
      timeoutMs: 20_000,
    });
    const written = await group.askServer(await group.primary(), (redis) => redis.hget('app||k', 'data'));
    expect(written).toBe('2');
    await group.settled();
  }, 60_000);

  it('leaves a primary that hangs when the Sentinels name another, long before readTimeout', async () => {
    const state = await client({ readTimeout: '10m', strongReplicas: '0' });
    await state.save(item('k', '1'));
    const old = await group.primary();
    await old.process.freeze();
    const started = performance.now();
    // It was sent to the old one, and nobody knows whether it was done.
    expect((await refused(state.save(item('k', '2')))).code).toBe(Code.UNAVAILABLE);
    await eventually('writes are taken', () => succeeds(state.save(item('k', '3'))), { timeoutMs: 30_000 });
    expect(performance.now() - started).toBeLessThan(30_000);
    expect(await group.primary()).not.toBe(old);
    old.process.signal('SIGCONT');
    await group.settled();
    expect((await state.get('k')).data).toBe('3');
  }, 60_000);
});

function succeeds(call: Promise<unknown>): Promise<boolean> {
  return call.then(
    () => true,
    () => false,
  );
}
