import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { jest } from '@jest/globals';

import { functionPush } from '../../cli/src/function-commands.js';
import { askSocket } from '../../cli/src/socket-http.js';
import { buildFunction } from '../../tools/function.mjs';
import { asyncApiProblems } from '../support/asyncapi.js';
import { HttpApp } from '../support/http-app.js';
import { CommandLab } from '../support/layotto.js';
import { startNats } from '../support/nats-server.js';
import type { NatsServer } from '../support/nats-server.js';
import { freePort } from '../support/ports.js';
import { startStore } from '../support/store-servers.js';
import type { StoreServer } from '../support/store-servers.js';
import { eventually } from '../support/wait.js';

const root = fileURLToPath(new URL('../..', import.meta.url));
const TOKEN = 'a token of the API';

let lab: CommandLab;
/** Another replica of the app. */
let replica: CommandLab;
let store: StoreServer;
let nats: NatsServer;
let app: HttpApp;
let port: number;

beforeAll(async () => {
  jest.spyOn(console, 'log').mockImplementation(() => undefined);
  [lab, replica, store, nats] = await Promise.all([
    CommandLab.open(),
    CommandLab.open(),
    startStore('valkey'),
    startNats(),
  ]);
  port = await freePort();
  app = await HttpApp.open();
  app.subscriptions = [{ pubsubname: 'pubsub', topic: 'orders', route: '/orders' }];
  app.answer = ({ path }) => (path.startsWith('/greet') ? { status: 203, body: 'hello' } : {});
  await app.start();
  mkdirSync(lab.folder, { recursive: true });
  const config = lab.file(
    'layotto.yaml',
    `functions: { listen: ${port}, slots: 4 }
app: { port: ${app.port} }
callees: { shop: "127.0.0.1:${app.port}", gone: "127.0.0.1:${await freePort()}" }
components:
  - { name: statestore, type: state.embedded }
  - { name: pubsub, type: pubsub.embedded, metadata: { redeliverInterval: 200ms } }
  - name: redis
    type: pubsub.redis
    metadata: { redisHost: "127.0.0.1:${store.port}", redeliverInterval: 200ms, processingTimeout: 300ms }
  - { name: jetstream, type: pubsub.jetstream, metadata: { natsURL: "${nats.url}", redeliverInterval: 200ms } }
  - ${locks()}
  - { name: configstore, type: configuration.embedded }
  - { name: secretstore, type: secretstores.local.env, metadata: { prefix: SECRET_ } }
subscriptions:
  - { function: worker, pubsub: pubsub, topic: orders }
  - { function: worker, pubsub: pubsub, topic: fragile, deadLetterTopic: dead, maxDeliveries: 2 }
  - { function: worker, pubsub: pubsub, topic: dead, route: /dead }
  - { function: worker, pubsub: redis, topic: orders, deadLetterTopic: dead, maxDeliveries: 2 }
  - { function: worker, pubsub: redis, topic: dead, route: /dead }
  - { function: worker, pubsub: jetstream, topic: orders, deadLetterTopic: dead, maxDeliveries: 2 }
  - { function: worker, pubsub: jetstream, topic: dead, route: /dead }
  - { function: late, pubsub: pubsub, topic: orders }
schedules:
  - { name: often, function: worker, schedule: "@every 200ms", route: /tick, data: tick }
  - { name: seconds, function: worker, schedule: "* * * * * *", data: second }
  - { name: nobody, function: nobody, schedule: "@every 200ms" }
  - ${ONCE}
`,
  );
  const env = { DAPR_API_TOKEN: TOKEN, APP_API_TOKEN: 'of the app', SECRET_word: 'sesame' };
  await lab.ready(lab.run([], { env, options: ['-c', config] }));
  for (const [id, source] of [
    ['asks', 'test/e2e/assembly/asking-function.ts'],
    ['id_2', 'examples/function-bookstore/assembly/stock.ts'],
    ['worker', 'test/e2e/assembly/event-function.ts'],
  ] as const) {
    writeFileSync(file(id), await buildFunction(join(root, source)));
    await functionPush({ 'data-dir': lab.dataDir, id, deadline: '2s' }, [file(id)]);
  }
}, 180_000);
afterAll(async () => {
  jest.restoreAllMocks();
  await Promise.all([lab?.close(), replica?.close()]);
  await Promise.all([app?.stop(), store?.stop(), nats?.stop()]);
});

/** Every 300 ms, in one of the replicas. */
const ONCE = `{ name: once, function: worker, schedule: "@every 300ms", route: /once, once: lockstore }`;

const locks = (): string =>
  `{ name: lockstore, type: lock.redis, metadata: { redisHost: "127.0.0.1:${store.port}" } }`;

function file(name: string): string {
  return join(lab.folder, `${name}.wasm`);
}

interface Answer {
  status: number;
  text: string;
  type: string | null;
}

/** Has the function ask for something. */
async function ask(
  what: string,
  of: string,
  name: string,
  { token = TOKEN, etag = '', ...init }: RequestInit & { token?: string; etag?: string } = {},
): Promise<Answer> {
  const query = new URLSearchParams({ do: what, of, name, etag });
  const headers = { id: 'asks', ...(token === '' ? {} : { 'dapr-api-token': token }), ...init.headers };
  const answer = await fetch(`http://127.0.0.1:${port}/?${query.toString()}`, {
    ...init,
    headers: headers as Record<string, string>,
    signal: AbortSignal.timeout(20_000),
  });
  return { status: answer.status, text: await answer.text(), type: answer.headers.get('x-type') };
}

const posted = (body: string, headers: Record<string, string> = {}): RequestInit => ({
  method: 'POST',
  body,
  headers,
});

test('it saves, reads and deletes state, and heeds versions', async () => {
  expect(await ask('save', 'statestore', 'a', posted('one'))).toMatchObject({ status: 201, text: 'saved a' });
  const read = await ask('get', 'statestore', 'a');
  expect(read.text).toMatch(/^\S+ one$/);
  const etag = read.text.split(' ')[0] ?? '';
  expect(await ask('save', 'statestore', 'a', { ...posted('two'), etag })).toMatchObject({ status: 201 });
  const stale = await ask('save', 'statestore', 'a', { ...posted('three'), etag });
  expect(stale.status).toBe(409);
  expect(stale.text).toContain('SaveState of a (10)');
  expect(await ask('delete', 'statestore', 'a', { etag })).toMatchObject({ status: 409 });
  expect((await ask('get', 'statestore', 'a')).text).toMatch(/ two$/);
  expect(await ask('delete', 'statestore', 'a')).toMatchObject({ status: 200, text: 'deleted a' });
  expect(await ask('get', 'statestore', 'a')).toMatchObject({ status: 404 });
  expect(await ask('delete', 'statestore', 'a')).toMatchObject({ status: 200 });
  expect((await ask('save', 'nowhere', 'a', posted('x'))).text).toContain('SaveState of a (5)');
});

test('it reads the configuration', async () => {
  const items = [
    { key: 'colour', content: 'blue' },
    { key: 'size', content: 'small' },
  ];
  const body = JSON.stringify({ storeName: 'configstore', appId: 'app', items });
  const path = '/v1.0-layotto/configuration/SaveConfiguration';
  expect(await ask('runtime', 'runtime', path, posted(body))).toMatchObject({ status: 200 });
  expect(await ask('configuration', 'configstore', 'colour,size,none')).toMatchObject({
    status: 200,
    text: 'colour=blue\nsize=small\n',
  });
  expect(await ask('configuration', 'nowhere', 'colour')).toMatchObject({
    status: 404,
    text: expect.stringContaining('GetConfiguration of nowhere (5)') as string,
  });
});

test('it publishes, and the app is told', async () => {
  const { status, text } = await ask(
    'publish',
    'pubsub',
    'orders',
    posted('{"n":1}', { 'content-type': 'application/json' }),
  );
  expect({ status, id: text }).toEqual({ status: 202, id: expect.stringMatching(/^\S+$/) as string });
  await eventually('the app is told', async () => app.told('/orders').length === 1);
  expect(app.told('/orders')[0]?.json).toMatchObject({ data: { n: 1 }, datacontenttype: 'application/json' });
  expect(await ask('publish', 'nowhere', 'orders', posted('x'))).toMatchObject({
    status: 404,
    text: expect.stringContaining('PublishEvent of orders (5)') as string,
  });
});

test('it calls another app, and says what that answers', async () => {
  const { status, text } = await ask('invoke', 'shop', 'greet?name=you', posted('hi'));
  expect({ status, text }).toEqual({ status: 203, text: 'shop says "hello"' });
  const [call] = app.told('/greet?name=you');
  expect(call?.body.toString()).toBe('hi');
  expect(call?.headers).toMatchObject({ 'content-type': 'text/x-test' });
  expect(call?.headers['dapr-api-token']).not.toBe(TOKEN);
  expect(await ask('invoke', 'gone', 'greet')).toMatchObject({ status: 500 });
  expect(await ask('invoke', 'nobody', 'greet')).toMatchObject({ status: 500 });
});

test('it calls another function, and any API of the runtime', async () => {
  await ask('save', 'statestore', 'book1', posted('100'));
  expect(await ask('function', 'id_2', '/?name=book1')).toMatchObject({ status: 200, text: 'id_2 says 100' });
  expect(await ask('function', 'none', '/')).toMatchObject({ status: 404 });
  expect(await ask('runtime', 'secrets', '/v1.0/secrets/secretstore/word')).toMatchObject({
    status: 200,
    text: 'secrets says {"word":"sesame"}',
  });
});

test('where the runtime has a token, a function is called with it, and hands it on', async () => {
  for (const token of ['', 'another'])
    expect(await ask('get', 'statestore', 'a', { token })).toMatchObject({
      status: 401,
      text: 'Unauthorized',
    });
});

/** What a function has noted of an event. */
async function noted(key: string): Promise<string | undefined> {
  const { status, text } = await ask('get', 'statestore', key);
  return status === 200 ? text.split(' ').slice(1).join(' ') : undefined;
}

test('a schedule calls a function again and again, and says which it is', async () => {
  await eventually('it was due three times', async () => {
    return Number((await noted('worker tick'))?.split(' ')[0] ?? 0) >= 3;
  });
  expect(await noted('worker tick')).toMatch(
    /^\d+ POST \/tick text\/plain; charset=utf-8 1\.0 {3}layotto\.schedule\.due often\/20\S+Z app$/,
  );
  await eventually('cron calls it, too', async () => (await noted('worker second')) !== undefined);
  expect(await runsOf(lab, 'often')).toMatchObject({ success: expect.any(Number) as number });
  expect(await runsOf(lab, 'nobody')).toEqual({ missed: expect.any(Number) as number });
});

/** What a page of the runtime's says. */
async function page(path: string): Promise<Record<string, unknown>> {
  const headers = { 'dapr-api-token': TOKEN };
  const answer = await fetch(`http://127.0.0.1:${lab.port}${path}`, { headers });
  return (await answer.json()) as Record<string, unknown>;
}

test('topics that trigger functions are among the subscriptions, and in the document of topics', async () => {
  await eventually('the runtime knows', async () => {
    const { subscriptions = [] } = await page('/v1.0/metadata');
    return (subscriptions as unknown[]).length >= 4;
  });
  const { subscriptions } = await page('/v1.0/metadata');
  const fragile = (subscriptions as { topic: string }[]).filter(({ topic }) => topic === 'fragile');
  expect(fragile).toEqual([
    {
      ...{ pubsubname: 'pubsub', topic: 'fragile', deadLetterTopic: 'dead', type: 'DECLARATIVE' },
      metadata: { consumerID: 'app.worker', function: 'worker' },
      rules: [{ path: '/' }],
    },
  ]);
  const document = await page('/v1.0-layotto/asyncapi.json');
  expect(asyncApiProblems(document)).toEqual([]);
  expect(document['operations']).toMatchObject({
    receive_pubsub_orders: { 'x-layotto-callback': 'dapr-http' },
    trigger_worker_pubsub_orders: { action: 'receive', 'x-layotto-function': 'worker' },
    trigger_worker_pubsub_fragile: { 'x-layotto-max-deliveries': 2 },
  });
});
/** What became of the runs of a schedule. */
async function runsOf({ dataDir }: CommandLab, schedule: string): Promise<Record<string, number>> {
  const metrics = (await askSocket(join(dataDir, 'bridge-admin.sock'), '/metrics'))?.body ?? '';
  const line = new RegExp(
    `^layotto_bridge_schedule_runs_total{schedule="${schedule}",function="\\w+",outcome="(\\w+)"} (\\d+)`,
    'gm',
  );
  const counts: Record<string, number> = {};
  for (const [, outcome = '', count] of metrics.matchAll(line)) counts[outcome] = Number(count);
  return counts;
}

test('a run that is to be made once is made by one of two replicas, by one that has the function', async () => {
  const config = replica.file(
    'layotto.yaml',
    `functions: { listen: ${await freePort()}, slots: 1 }
callees: { shop: "127.0.0.1:${app.port}" }
components:
  - ${locks()}
schedules:
  - ${ONCE}
`,
  );
  await replica.ready(replica.run([], { options: ['-c', config] }));
  await eventually('it has no such function', async () => (await runsOf(replica, 'once'))['missed']);
  expect(await runsOf(replica, 'once')).toEqual({ missed: expect.any(Number) as number });
  await functionPush({ 'data-dir': replica.dataDir, id: 'worker' }, [file('worker')]);
  await eventually('each has seen some, and left some to the other', async () => {
    const both = await Promise.all([runsOf(lab, 'once'), runsOf(replica, 'once')]);
    const left = both.reduce((sum, { elsewhere = 0 }) => sum + elsewhere, 0);
    return left >= 4 && both.every(({ success = 0, elsewhere = 0 }) => success + elsewhere >= 4);
  });
  const made = app.told('/once').map(({ body }) => Date.parse(body.toString().replace('once/', '')));
  expect(made.length).toBeGreaterThan(4);
  expect(new Set(made).size).toBe(made.length);
  expect(made.filter((time) => time % 300 !== 0)).toEqual([]);
}, 60_000);

describe('events', () => {
  const publish = async (topic: string, body: string): Promise<void> => {
    const type = { 'content-type': 'text/plain' };
    expect(await ask('publish', 'pubsub', topic, posted(body, type))).toMatchObject({ status: 202 });
  };

  test('trigger a function, which gets the data as its body; the app gets them, too', async () => {
    await publish('orders', 'a "book" for Jürgen');
    await eventually(
      'the function has it',
      async () => (await noted('worker a "book" for Jürgen')) !== undefined,
    );
    const text = await noted('worker a "book" for Jürgen');
    expect(text).toMatch(/^1 POST \/ text\/plain 1\.0 orders pubsub com\.dapr\.event\.sent \S+ app$/);
    await eventually('the app has it', async () =>
      app.told('/orders').some(({ json }) => json['data'] === 'a "book" for Jürgen'),
    );
  });

  test('that a function traps at come again', async () => {
    await publish('orders', 'trap once');
    await eventually(
      'it is done with',
      async () => (await noted('worker trap once'))?.startsWith('2 ') === true,
    );
  });

  test('that a function fails at are tried so often, and then dead letters', async () => {
    await publish('fragile', 'fail');
    await eventually('it is a dead letter', async () => (await noted('dead fail')) !== undefined);
    expect(await noted('worker fail')).toMatch(/^2 POST \/ /);
    expect(await noted('dead fail')).toMatch(/^1 POST \/dead text\/plain 1\.0 dead /);
  });

  test.each(['redis', 'jetstream'])(
    'come from %s, again after a trap, and as dead letters',
    async (broker) => {
      const send = async (body: string): Promise<void> => {
        const type = { 'content-type': 'text/plain' };
        expect(await ask('publish', broker, 'orders', posted(body, type))).toMatchObject({ status: 202 });
      };
      await send(`a "book" by ${broker}`);
      await eventually(
        'it has come',
        async () => (await noted(`worker a "book" by ${broker}`)) !== undefined,
      );
      expect(await noted(`worker a "book" by ${broker}`)).toMatch(
        new RegExp(`^1 POST / text/plain 1\\.0 orders ${broker} com\\.dapr\\.event\\.sent \\S+ app$`),
      );
      await send(`trap once by ${broker}`);
      await eventually(
        'it has come again after a trap',
        async () => (await noted(`worker trap once by ${broker}`))?.startsWith('2 ') === true,
      );
      await send(`fail by ${broker}`);
      await eventually(
        'it is a dead letter',
        async () => (await noted(`dead fail by ${broker}`)) !== undefined,
      );
      expect(await noted(`worker fail by ${broker}`)).toMatch(/^2 POST \/ /);
    },
  );

  test('come to a function that is pushed later', async () => {
    await publish('orders', 'early');
    await eventually('another function has it', async () => (await noted('worker early')) !== undefined);
    expect(await noted('late early')).toBeUndefined();
    await functionPush({ 'data-dir': lab.dataDir, id: 'late' }, [file('worker')]);
    // The push is through when events are taken, so that the first one after it is not lost.
    await publish('orders', 'later');
    await eventually('it has what comes now', async () => (await noted('late later')) !== undefined);
  });
});

test('runs that are to be made once are missed while nobody can tell whose they are', async () => {
  await store.stop();
  const missed = async (): Promise<number> => (await runsOf(replica, 'once'))['missed'] ?? 0;
  const before = { told: app.told('/once').length, missed: await missed() };
  await eventually('they are missed', async () => (await missed()) > before.missed + 2);
  // One may have been under way.
  expect(app.told('/once').length - before.told).toBeLessThan(2);
});
