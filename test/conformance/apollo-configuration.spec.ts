import { cp, mkdtemp } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import * as pb from '../../components-bridge/src/gen/layotto/bridge/v1/configuration_pb.js';
import type { Change } from '../../components-bridge/src/primitives/configuration/watched-query.js';
import { Code } from '../../components-bridge/src/primitives/errors.js';
import { APP, metadataFor, startApollo } from '../support/apollo/backend.js';
import { ApolloStandIn } from '../support/apollo/stand-in.js';
import { freePort } from '../support/ports.js';
import { Rooms } from '../support/rooms.js';
import type { RoomComponent } from '../support/rooms.js';
import { eventually } from '../support/wait.js';
import { refused } from './state-client.js';

const GET = [pb.GetConfigurationRequestSchema, pb.GetConfigurationResponseSchema] as const;
const SAVE = [pb.SaveConfigurationRequestSchema, pb.SaveConfigurationResponseSchema] as const;

const open: { close(): unknown }[] = [];

afterEach(async () => {
  for (const one of open.splice(0).reverse()) await one.close();
});

async function apollo(...args: Parameters<typeof startApollo>): Promise<ApolloStandIn> {
  const standIn = await startApollo(...args);
  open.push({ close: () => standIn.stop() });
  return standIn;
}

const component = (metadata: Record<string, string>): RoomComponent => {
  return { name: 'configs', type: 'configuration.apollo', metadata };
};

async function rooms(metadata: Record<string, string>, wait = true): Promise<Rooms> {
  const opened = await Rooms.open([component(metadata)], { wait });
  open.push(opened);
  return opened;
}

async function items(of: Rooms, query: object = {}): Promise<pb.ConfigurationItem[]> {
  return (await of.call('Configuration/GetConfiguration', GET, { storeName: 'configs', ...query })).items;
}

async function save(of: Rooms, ...list: object[]): Promise<void> {
  await of.call('Configuration/SaveConfiguration', SAVE, { storeName: 'configs', items: list });
}

const healthOf = (of: Rooms): string => JSON.stringify(of.registry.health());

describe('configuration.apollo', () => {
  it('keeps items where and as Layotto keeps them', async () => {
    const standIn = await apollo();
    const store = await rooms(metadataFor(standIn));
    const tags = { env: 'prod' };
    await save(
      store,
      { key: 'k', content: 'v', label: 'l', group: 'blue', tags },
      { key: 'plain', content: 'p' },
    );
    const kept = (namespace: string): Record<string, string> => {
      const found = standIn.model.namespace(APP, 'default', namespace);
      const all = found === undefined ? [] : standIn.model.items(found);
      return Object.fromEntries(all.map(({ key, value }) => [key, value]));
    };
    expect(kept('blue')).toEqual({ 'k@$l': 'v' });
    expect(kept('application')).toEqual({ plain: 'p' });
    expect(kept('sidecar_config_tags')).toEqual({ 'blue@$k@$l': '{"env":"prod"}' });
  });

  it('refuses what Apollo cannot keep, and says why', async () => {
    const standIn = await apollo();
    const store = await rooms(metadataFor(standIn));
    for (const [item, reason] of [
      [{ key: 'a/b', content: '' }, 'key "a/b" holds a slash'],
      [{ key: 'a@$b', content: '' }, 'which stands before labels'],
      [{ key: 'k', content: '', group: 'red' }, 'Apollo has no namespace red in this app and cluster'],
      [{ key: 'k', content: 'x'.repeat(20_001) }, 'value too long. length limit:20000'],
    ] as const) {
      expect(await refused(save(store, item))).toEqual({
        code: Code.INVALID_ARGUMENT,
        message: expect.stringContaining(reason) as string,
      });
    }
    expect(await items(store)).toEqual([]);
  });

  it('says that it only reads, or that its token does not do', async () => {
    const standIn = await apollo();
    const reading = await rooms({ address: standIn.meta, app_id: APP });
    expect((await refused(save(reading, { key: 'k', content: 'v' }))).message).toContain(
      'set open_api_address',
    );
    const wrong = await rooms({ ...metadataFor(standIn), open_api_token: 'wrong' });
    const { code, message } = await refused(save(wrong, { key: 'k', content: 'v' }));
    expect(code).toBe(Code.INTERNAL);
    expect(message).toContain('Apollo answered 401 Unauthorized; check open_api_token');
  });

  it('serves what it read before while Apollo is away, also after a start, and says so', async () => {
    const standIn = await apollo();
    const port = Number(new URL(standIn.meta).port);
    const metadata = metadataFor(standIn);
    const store = await rooms(metadata);
    await save(store, { key: 'k', content: 'v', tags: { a: 'b' } });
    expect((await items(store))[0]).toMatchObject({ content: 'v', metadata: {} });
    await standIn.stop();

    const stale = { key: 'k', content: 'v', tags: { a: 'b' }, metadata: { stale: 'true' } };
    await eventually('it is marked', async () => (await items(store))[0]?.metadata.stale === 'true');
    expect(await items(store)).toMatchObject([stale]);
    expect(healthOf(store)).toContain('Apollo is away, what was read before is served');
    expect(store.log.join('')).toContain('Apollo is away; what was read before is served');
    const { code } = await refused(save(store, { key: 'k', content: 'w' }));
    expect(code).toBe(Code.UNAVAILABLE);

    // Another bridge that has the same folder, and nothing else.
    const dataDir = await mkdtemp(join(tmpdir(), 'rooms-'));
    await cp(store.dataDir, dataDir, { recursive: true });
    const again = await Rooms.open([component(metadata)], { dataDir });
    open.push(again);
    const started = performance.now();
    expect(await items(again)).toMatchObject([stale]);
    expect(performance.now() - started).toBeLessThan(100);
    expect(healthOf(again)).toContain('Apollo is away');

    const back = await ApolloStandIn.start({ port }, standIn.model);
    open.push({ close: () => back.stop() });
    await eventually('it is current', async () => (await items(again))[0]?.metadata.stale === undefined);
    await eventually('health says so', () => !healthOf(again).includes('away'));
  });

  it('does not start while Apollo is away if it has nothing, or may serve nothing, of before', async () => {
    const fresh = await rooms({ address: `127.0.0.1:${await freePort()}`, app_id: APP }, false);
    await eventually('the reason is known', () => healthOf(fresh).includes('ECONNREFUSED'));
    expect((await refused(items(fresh))).code).toBe(Code.UNAVAILABLE);
  });

  it('refuses at once while Apollo is away, if it may serve nothing of before', async () => {
    const standIn = await apollo();
    const store = await rooms({ ...metadataFor(standIn), is_backup_config: 'false' });
    await standIn.stop();
    await eventually('it is down', () => healthOf(store).includes('"down"'));
    const started = performance.now();
    const { code, message } = await refused(items(store));
    expect(performance.now() - started).toBeLessThan(100);
    expect(code).toBe(Code.UNAVAILABLE);
    expect(message).toContain('configuration store configs is not ready: 127.0.0.1');
  });

  it('asks again when a held question has ended, and hears of what changes then', async () => {
    const standIn = await apollo({ holdMs: 100 });
    const store = await rooms(metadataFor(standIn));
    const told: Change[] = [];
    const follower = {
      changed: (changes: readonly Change[]) => void told.push(...changes),
      ended: () => undefined,
    };
    const asked = { appId: '', metadata: {}, keys: ['k'], group: '', label: '' };
    const following = store.watches.follow('configs', asked, follower);
    await following.query.firstTry;
    const main = standIn.model.namespace(APP, 'default', 'application');
    if (main === undefined) throw new Error('an app has the namespace application');
    for (const value of ['1', '2', '3']) {
      // Longer than a question is held.
      await new Promise((resolve) => setTimeout(resolve, 250));
      standIn.model.createItem(main.id, { key: 'k', value, comment: '', lineNum: 1 }, 'test');
      standIn.model.release(main, value, '', 'test');
      await eventually('it is told', () => told.at(-1)?.item.content === value, { timeoutMs: 1_000 });
    }
    following.close();
  });

  it('does not flood a server that answers every question for changes at once', async () => {
    const standIn = await apollo();
    let polls = 0;
    const server = createServer((request, response) => {
      if (request.url?.startsWith('/notifications')) {
        polls++;
        response.end('[{"namespaceName":"application","notificationId":1}]');
      } else response.writeHead(404).end();
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    open.push({
      close: () => {
        server.close();
        server.closeAllConnections();
      },
    });
    const address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    await rooms(metadataFor(standIn, address));
    await eventually('it was asked', () => polls > 2);
    const before = polls;
    await new Promise((resolve) => setTimeout(resolve, 500));
    expect(polls - before).toBeLessThanOrEqual(11);
  });
});
