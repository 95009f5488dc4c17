import { readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import type { ApolloStandIn } from '../../tools/apollo/stand-in.js';
import { APP, metadataFor, startApollo } from '../support/apollo-fixture.js';
import { contentsOf, Follower, reasonFor, Stores } from '../support/apollo-store.js';
import { eventually, sleep } from '../support/wait.js';

/** Configuration in Apollo while Apollo is away, comes back, or its answers are lost. */

/** Within this time after it is back, everything that changed meanwhile must be told. */
const CATCH_UP_MS = 2_000;

let apollo: ApolloStandIn;
let stores: Stores;

beforeEach(async () => {
  apollo = await startApollo({ configServices: 2 });
  stores = await Stores.create();
  apollo.release(APP, 'application', { greeting: 'hello', gone: 'soon' });
});

afterEach(async () => {
  await stores.close();
  await apollo.stop();
});

const readOnly = (service = 0): Record<string, string> => {
  const { address = '' } = metadataFor(apollo, service);
  return { address, app_id: APP };
};

describe('a restart while Apollo is away', () => {
  it('serves what was read last, and says so', async () => {
    const before = await stores.open(readOnly());
    expect(await contentsOf(before)).toEqual({ greeting: 'hello', gone: 'soon' });
    // Nobody reads this before the restart: what is told is kept as well.
    apollo.release(APP, 'application', { greeting: 'bonjour', gone: undefined });
    await eventually('it is on disk', async () => (await keptTexts()).includes('bonjour'));
    await before.store.close();
    await apollo.stopConfigServices();

    const after = await stores.open(readOnly());
    expect(await contentsOf(after)).toEqual({ greeting: 'bonjour' });
    const reason = expect.stringMatching(/served as it was last: http.*ECONNREFUSED/) as string;
    await eventually('it is said', () => after.reports.length > 0);
    expect(after.reports).toEqual([{ status: 'ready', reason }]);
    const warnings = after.log.filter(({ level }) => level === 40).map(({ msg }) => msg);
    expect(warnings).toEqual(['Apollo is away: configuration is served as it was last']);
    expect(await reasonFor(after.store.confirm())).toContain('ECONNREFUSED');

    apollo.release(APP, 'application', { greeting: 'ciao' });
    await apollo.startConfigServices();
    await eventually('it is known', async () => (await contentsOf(after)).greeting === 'ciao', {
      timeoutMs: CATCH_UP_MS,
    });
    await eventually('it is said', () => after.reports.at(-1)?.reason === undefined);
    expect(after.reports.at(-1)?.status).toBe('ready');
    await after.store.confirm();
  });

  async function keptTexts(): Promise<string> {
    const folder = join(stores.dataDir, 'configuration', 'configs');
    const files = await readdir(folder);
    return (await Promise.all(files.map((file) => readFile(join(folder, file), 'utf8')))).join('\n');
  }

  it.each([
    ['nothing was kept', {}, 'never-used'],
    ['it is another app', { app_id: 'other' }, 'configs'],
    ['it is another cluster', { cluster: 'bj' }, 'configs'],
    ['nothing is to be kept', { is_backup_config: 'false' }, 'configs'],
  ])('does not begin if %s', async (_, metadata, name) => {
    const { store } = await stores.open(readOnly());
    await store.close();
    await apollo.stopConfigServices();
    expect(await reasonFor(stores.open({ ...readOnly(), ...metadata }, name))).toMatch(/127.*ECONNREFUSED/);
  });

  it('takes no file for configuration that is none, and lets nobody else read one', async () => {
    const { store } = await stores.open(readOnly());
    await store.close();
    const folder = join(stores.dataDir, 'configuration', 'configs');
    expect((await stat(folder)).mode & 0o077).toBe(0);
    const files = await readdir(folder);
    expect(files.length).toBeGreaterThan(0);
    for (const file of files) {
      expect((await stat(join(folder, file))).mode & 0o077).toBe(0);
      const whole = await readFile(join(folder, file), 'utf8');
      await writeFile(join(folder, file), whole.slice(0, -20));
    }
    await apollo.stopConfigServices();
    expect(await reasonFor(stores.open(readOnly()))).toMatch(/ECONNREFUSED/);
    await apollo.startConfigServices();
    expect(await contentsOf(await stores.open(readOnly()))).toMatchObject({ greeting: 'hello' });
  });
});

describe('Apollo goes away and comes back', () => {
  it.each(['true', 'false'])('tells everything that changed (is_backup_config: %s)', async (backup) => {
    const opened = await stores.open({ ...readOnly(), is_backup_config: backup });
    const follower = new Follower(opened);
    await follower.knows({ greeting: 'hello', gone: 'soon' }, CATCH_UP_MS);
    await apollo.stopConfigServices();
    await eventually('the loss is known', () => opened.reports.length > 0);
    if (backup === 'true') expect(await contentsOf(opened)).toEqual({ greeting: 'hello', gone: 'soon' });
    else expect(await reasonFor(contentsOf(opened))).toContain('ECONNREFUSED');
    expect(opened.reports[0]?.status).toBe(backup === 'true' ? 'ready' : 'down');
    // Long enough for the pauses between tries to have become as long as they get.
    await sleep(2_500);
    apollo.release(APP, 'application', { greeting: 'bonjour', gone: undefined, fruit: 'apple' });
    await apollo.startConfigServices();
    const tookMs = await follower.knows({ greeting: 'bonjour', fruit: 'apple' }, CATCH_UP_MS);
    expect(tookMs).toBeLessThan(CATCH_UP_MS);
    await eventually('it is said', () => opened.reports.at(-1)?.reason === undefined);
    expect(opened.reports.at(-1)?.status).toBe('ready');
    apollo.release(APP, 'application', { fruit: 'pear' });
    await follower.knows({ greeting: 'bonjour', fruit: 'pear' }, CATCH_UP_MS);
  });

  it('tells what changed when its count of messages begins anew', async () => {
    const opened = await stores.open(readOnly());
    for (const fruit of ['a', 'b', 'c']) apollo.release(APP, 'application', { fruit });
    const follower = new Follower(opened);
    await follower.knows({ greeting: 'hello', gone: 'soon', fruit: 'c' }, CATCH_UP_MS);
    // Only who waits sees Apollo go: a client between two questions could take the new one for the old.
    await eventually('it waits for the next message', () => apollo.database.waiting === 1);
    const { meta } = apollo;
    await apollo.stop();
    apollo = await startApollo({ configPorts: [Number(new URL(meta).port)] });
    apollo.release(APP, 'application', { fruit: 'restored' });
    await follower.knows({ fruit: 'restored' }, 2 * CATCH_UP_MS);
    apollo.release(APP, 'application', { fruit: 'after' });
    await follower.knows({ fruit: 'after' }, CATCH_UP_MS);
  });
});

describe('one config service of two is lost', () => {
  it('goes on with the other one, which the meta service named', async () => {
    const opened = await stores.open(readOnly());
    const follower = new Follower(opened);
    await follower.knows({ greeting: 'hello', gone: 'soon' }, CATCH_UP_MS);
    const waiting = await eventually('it waits at one', () =>
      apollo.configServices.find(({ seen }) => seen.some((line) => line.includes('/notifications/v2'))),
    );
    await waiting.stop();
    expect(await contentsOf(opened)).toEqual({ greeting: 'hello', gone: 'soon' });
    apollo.release(APP, 'application', { greeting: 'bonjour' });
    await follower.knows({ greeting: 'bonjour', gone: 'soon' }, CATCH_UP_MS);
    expect(opened.reports.filter(({ status, reason }) => status === 'down' || reason)).toEqual([]);
  });

  it('does not begin at the one that is away, if several addresses are given', async () => {
    const [first, second] = apollo.configServices;
    await first?.stop();
    const opened = await stores.open({ ...readOnly(), address: `${first?.url},${second?.url}` });
    expect(await contentsOf(opened)).toMatchObject({ greeting: 'hello' });
  });

  it('goes round one that hangs', async () => {
    const opened = await stores.open({ ...readOnly(), requestTimeout: '300ms' });
    for (const service of apollo.configServices.slice(0, 1)) service.misbehave = () => true;
    for (let time = 0; time < 5; time++) {
      expect(await contentsOf(opened)).toMatchObject({ greeting: 'hello' });
    }
    expect(opened.reports.filter(({ reason }) => reason !== undefined)).toEqual([]);
  });
});

describe('where a cluster has no release', () => {
  it('serves that of default, until it has one', async () => {
    const opened = await stores.open({ ...readOnly(), cluster: 'bj' });
    const follower = new Follower(opened);
    await follower.knows({ greeting: 'hello', gone: 'soon' }, CATCH_UP_MS);
    apollo.release(APP, 'application', { greeting: 'from default' });
    await follower.knows({ greeting: 'from default', gone: 'soon' }, CATCH_UP_MS);
    apollo.database.createCluster(APP, 'bj', 'apollo');
    apollo.release(APP, 'application', { greeting: 'from bj' }, 'bj');
    await follower.knows({ greeting: 'from bj' }, CATCH_UP_MS);
  });
});
