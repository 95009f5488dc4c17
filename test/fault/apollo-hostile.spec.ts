import type { ServerResponse } from 'node:http';

import type { ApolloStandIn } from '../../tools/apollo/stand-in.js';
import { TOKEN } from '../../tools/apollo/stand-in.js';
import type { Misbehaviour } from '../../tools/apollo/service.js';
import { APP, metadataFor, startApollo } from '../support/apollo-fixture.js';
import { contentsOf, Follower, reasonFor, Stores } from '../support/apollo-store.js';
import type { OpenedStore } from '../support/apollo-store.js';
import { eventually, sleep } from '../support/wait.js';

/** Configuration in Apollo where what answers is not, or not as it should be. */

let apollo: ApolloStandIn;
let stores: Stores;

beforeEach(async () => {
  apollo = await startApollo();
  stores = await Stores.create();
  apollo.release(APP, 'application', { greeting: 'hello' });
});

afterEach(async () => {
  await stores.close();
  await apollo.stop();
});

const metadata = (requestTimeout = '400ms'): Record<string, string> => {
  return { ...metadataFor(apollo), requestTimeout };
};

/** Long enough for a flood to become too much, and short where time itself is the matter. */
const timeoutFor = (name: string): string => (name === 'a flood' ? '10s' : '400ms');

/** Answers everything with this. */
const always =
  (answer: (response: ServerResponse) => void): Misbehaviour =>
  ({ response }) => {
    answer(response);
    return true;
  };

const json = (status: number, body: unknown): Misbehaviour =>
  always((response) => void response.writeHead(status).end(JSON.stringify(body)));

/** A byte now and then, so that only the whole takes too long. */
function drip(response: ServerResponse): void {
  const timer = setInterval(() => response.write(' '), 50);
  response.on('close', () => clearInterval(timer));
}

/** More than anybody has memory for, as fast as it is taken. */
function flood(response: ServerResponse): void {
  const chunk = Buffer.alloc(256 * 1024, '{"a":');
  const write = (): void => {
    while (!response.destroyed && response.write(chunk));
    if (!response.destroyed) response.once('drain', write);
  };
  write();
}

const right = { appId: APP, cluster: 'default', namespaceName: 'application' };
const HOSTILE: [string, Misbehaviour, string][] = [
  [
    'a page',
    always((response) => response.end('<html>login</html>')),
    'something that is no answer of Apollo',
  ],
  ['half an answer', always((response) => response.end('{"configurations": {"a')), 'no answer of Apollo'],
  ['a list', json(200, []), 'no answer of Apollo'],
  ['no release', json(200, { ...right, configurations: {} }), 'no answer of Apollo'],
  ['numbers', json(200, { ...right, releaseKey: 'r', configurations: { a: 1 } }), 'no answer of Apollo'],
  ['a not found that is not of Apollo', json(404, 'no route'), 'answered 404'],
  ['an error', json(500, { status: 500, message: 'no database' }), 'answered 500: no database'],
  ['an unasked not modified', always((response) => response.writeHead(304).end()), 'answered 304'],
  [
    'a redirect',
    always((r) => r.writeHead(302, { location: 'http://127.0.0.1:1/' }).end()),
    'redirects (302)',
  ],
  ['a slow drip', always(drip), 'no whole answer within 400 ms'],
  ['nothing', () => true, 'no whole answer within 400 ms'],
  ['a flood', always(flood), 'has more than 8388608 bytes'],
  ['an end', always((response) => response.destroy()), 'socket hang up'],
];

describe('a server that answers', () => {
  it.each(HOSTILE)('%s is not begun with', async (name, misbehave, message) => {
    for (const service of apollo.configServices) service.misbehave = misbehave;
    expect(await reasonFor(stores.open(metadata(timeoutFor(name))))).toContain(message);
  });

  // To whom something is known, not modified is an answer.
  const toTheKnowing = HOSTILE.filter(([name]) => name !== 'an unasked not modified');
  it.each(toTheKnowing)('%s loses nothing of what is known', async (name, misbehave, message) => {
    const opened = await stores.open(metadata(timeoutFor(name)));
    const follower = new Follower(opened);
    await follower.knows({ greeting: 'hello' }, 2_000);
    for (const service of apollo.configServices) service.misbehave = misbehave;
    // What is on its way, such as whoever waits, was asked before.
    for (const service of apollo.configServices) await restart(service);
    await eventually('it is noticed', async () => {
      expect(await contentsOf(opened)).toEqual({ greeting: 'hello' });
      return opened.reports.at(-1)?.reason?.includes(message);
    });
    expect(opened.reports.every(({ status }) => status === 'ready')).toBe(true);
    for (const service of apollo.configServices) service.misbehave = undefined;
    apollo.release(APP, 'application', { greeting: 'bonjour' });
    await follower.knows({ greeting: 'bonjour' }, 4_000);
  });

  async function restart(service: ApolloStandIn['portal']): Promise<void> {
    await service.stop();
    await service.start();
  }
});

describe('a server that tells of changes as it should not', () => {
  const onPolls =
    (misbehave: Misbehaviour): Misbehaviour =>
    (exchange) =>
      exchange.path[0] === 'notifications' && misbehave(exchange);

  const known = { namespaceName: 'application', notificationId: 7 };
  it.each<[string, Misbehaviour]>([
    ['nothing, at once', always((response) => response.writeHead(304).end())],
    ['the same, at once', json(200, [known])],
    ['what nobody asked for', json(200, [{ namespaceName: 'other', notificationId: 7 }])],
    ['nonsense', json(200, [{ namespaceName: 7 }])],
    ['an error', json(500, {})],
    ['a page', always((response) => response.end('<html>'))],
  ])('%s: is not asked in a tight loop, and changes are found all the same', async (_, misbehave) => {
    const [service] = apollo.configServices;
    if (service === undefined) throw new Error('no service');
    service.misbehave = onPolls(misbehave);
    const opened = await stores.open(metadata());
    const follower = new Follower(opened);
    await sleep(1_500);
    const polls = service.seen.filter((line) => line.startsWith('GET /notifications'));
    expect(polls.length).toBeGreaterThan(1);
    expect(polls.length).toBeLessThan(15);
    apollo.release(APP, 'application', { greeting: 'bonjour' });
    await follower.knows({ greeting: 'bonjour' }, 2_000);
    expect(opened.reports.filter(({ reason }) => reason !== undefined)).toEqual([]);
  });
});

describe('access keys', () => {
  const KEY = 'the right key';

  beforeEach(() => apollo.createAccessKey(APP, KEY));

  it('sign what is read and waited for', async () => {
    const opened = await stores.open({ ...metadata(), secret: KEY });
    const follower = new Follower(opened);
    apollo.release(APP, 'application', { greeting: 'bonjour' });
    await follower.knows({ greeting: 'bonjour' }, 2_000);
    expect(await contentsOf(opened)).toEqual({ greeting: 'bonjour' });
  });

  it.each([
    [{}, /does not let app shop read \(401\): the app has an access key, which must be given as secret/],
    [{ secret: 'wrong' }, /\(401\): secret is not an access key of the app, or the clocks differ/],
  ])('that are not right are named: %j', async (settings, message) => {
    const reason = await reasonFor(stores.open({ ...metadata(), ...settings }));
    expect(reason).toMatch(message);
    expect(reason).not.toContain('wrong');
  });

  it('that are right no more end the reading, whatever was kept', async () => {
    const opened = await stores.open({ ...metadata(), secret: KEY });
    apollo.database.accessKeys.length = 0;
    apollo.createAccessKey(APP, 'another');
    await reasonFor(contentsOf(opened));
    expect(await reasonFor(contentsOf(opened))).toMatch(/secret is not an access key/);
    await eventually('it is down', () => opened.reports.at(-1)?.status === 'down');
    await opened.store.close();
    expect(await reasonFor(stores.open({ ...metadata(), secret: KEY }))).toMatch(
      /secret is not an access key/,
    );
    apollo.database.accessKeys.length = 0;
    expect(await contentsOf(await stores.open({ ...metadata(), secret: KEY }))).toEqual({
      greeting: 'hello',
    });
  });
});

describe('changes that Apollo refuses', () => {
  const place = { group: 'application', label: '', tags: {}, metadata: {} };
  const save = ({ store }: OpenedStore, fields: object = {}): Promise<string> =>
    reasonFor(store.save('', [{ ...place, key: 'fruit', content: 'apple', ...fields }]));

  it.each([
    ['a token', { open_api_token: 'wrong' }, {}, /\(401\): .*open_api_token is not known there/],
    ['a user', { open_api_user: 'eve' }, {}, /\(400\): User eve doesn't exist!/],
    ['an environment', { open_api_env: 'MOON' }, {}, /\(400\): invalid env name: MOON/],
    [
      'a namespace',
      {},
      { group: 'nowhere' },
      /\(404\): .*is there such a namespace of app shop in cluster default/,
    ],
    ['a value', {}, { content: 'x'.repeat(20_001) }, /\(400\): value too long/],
    ['a key', {}, { key: 'a@$b' }, /Apollo cannot keep the key "a@\$b": "@\$" stands between key and label/],
    ['a group', {}, { group: 'a b' }, /group "a b" cannot be a namespace of Apollo/],
  ])('say why: %s', async (_, settings, fields, message) => {
    const opened = await stores.open({ ...metadata(), ...settings });
    expect(await save(opened, fields)).toMatch(message);
    expect(await contentsOf(opened)).toEqual({ greeting: 'hello' });
  });

  it('are those of a token for other apps', async () => {
    const opened = await stores.open(metadata());
    apollo.tokens.set(TOKEN, ['another']);
    expect(await save(opened)).toMatch(/\(403\): .*may not do that with app shop/);
  });

  it('are all, of a store that is only read', async () => {
    const { address = '' } = metadata();
    const opened = await stores.open({ address, app_id: APP });
    expect(await save(opened)).toContain('set open_api_address, open_api_token and open_api_user');
  });

  it('are made once the portal answers again, and reported as unavailable if it does not', async () => {
    const opened = await stores.open(metadata());
    let fails = 2;
    apollo.portal.misbehave = (exchange) => {
      if (fails-- > 0) exchange.refuse(503);
      return exchange.response.headersSent;
    };
    expect(await save(opened)).toBe('it did not fail');
    expect(await contentsOf(opened)).toEqual({ greeting: 'hello', fruit: 'apple' });
    await apollo.portal.stop();
    const failure = await opened.store
      .save('', [{ ...place, key: 'k', content: 'x' }])
      .catch((e: unknown) => e);
    expect(failure).toMatchObject({ kind: 'unavailable' });
  });

  it('include those that readers never see', async () => {
    const opened = await stores.open(metadata());
    // A portal of another environment takes it, and nothing comes of it here.
    const [service] = apollo.configServices;
    if (service === undefined) throw new Error('no service');
    const old = { ...right, configurations: { greeting: 'hello' }, releaseKey: 'old' };
    service.misbehave = (exchange) => {
      if (exchange.path[0] === 'configs' && exchange.path[3] === 'application') exchange.json(old);
      return exchange.response.headersSent;
    };
    expect(await save(opened)).toMatch(
      /was released, but readers do not get it; is open_api_env that of address/,
    );
  });
});
