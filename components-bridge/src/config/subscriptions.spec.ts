import { configFolder } from '../../../test/support/config-files.js';
import type { ConfigFolder } from '../../../test/support/config-files.js';
import { changes, sameSettings } from './changes.js';

let folder: ConfigFolder;
beforeEach(async () => (folder = await configFolder()));
afterEach(() => folder.remove());

const file = 'layotto.yaml';
const native = (subscriptions: string): string =>
  `app: {port: 8080}\ncomponents: []\nsubscriptions:\n${subscriptions}`;

describe('subscriptions of the native form', () => {
  it('are read', async () => {
    await folder.write({
      [file]: native(`
  - name: orders
    pubsub: pubsub
    topic: orders
    routes:
      rules: [{match: 'event.type == "a"', path: /a}]
      default: any
    metadata: {rawPayload: true, consumerID: 5}
    deadLetterTopic: dead
    maxDeliveries: 5
    concurrency: 4
    bulk: {maxMessages: 50, maxAwait: 100ms}
    apps: [app, other]
  - {pubsub: pubsub, topic: dead, route: dead}
  - {pubsub: pubsub, topic: orders, route: /o, apps: [other]}
`),
    });
    const { subscriptions } = await folder.config({ file });
    expect(subscriptions).toEqual([
      {
        name: 'orders',
        pubsubName: 'pubsub',
        topic: 'orders',
        form: 'native',
        rules: [
          { match: 'event.type == "a"', path: '/a' },
          { match: '', path: '/any' },
        ],
        metadata: { rawPayload: 'true', consumerID: '5' },
        deadLetterTopic: 'dead',
        maxDeliveries: 5,
        concurrency: 4,
        bulk: { maxMessages: 50, maxAwaitMs: 100 },
        origin: { file, line: 5 },
      },
      {
        name: 'subscriptions[1]',
        pubsubName: 'pubsub',
        topic: 'dead',
        form: 'native',
        rules: [{ match: '', path: '/dead' }],
        metadata: {},
        origin: { file, line: 17 },
      },
    ]);
  });

  it.each([
    ['  - {topic: t, route: /x}', 'subscriptions[0].pubsub: expected the name of a pub/sub component'],
    ['  - {pubsub: p, topic: t}', 'subscriptions[0]: expected a route, because the app speaks HTTP'],
    ['  - {pubsub: p, topic: t, rout: /x}', 'subscriptions[0].rout: unknown key; did you mean "route"?'],
    ['  - {pubsub: p, topic: t, route: /x, routes: {}}', 'expected either route or routes, found both'],
    ['  - {pubsub: p, topic: t, routes: {}}', 'subscriptions[0].routes: expected rules or a default'],
    [
      '  - {pubsub: p, topic: t, routes: {rules: [{match: "event.type ==", path: /x}]}}',
      'subscriptions[0].routes.rules[0].match: not an expression of CEL over "event": Unexpected token',
    ],
    [
      '  - {pubsub: p, topic: t, routes: {rules: [{match: "1 + 1", path: /x}]}}',
      'expected an expression that is true or false',
    ],
    ['  - {pubsub: p, topic: t, route: /x, concurrency: 0}', 'expected a whole number from 1 to 1000'],
    ['  - {pubsub: p, topic: t, route: /x, bulk: {maxAwait: 2m}}', 'expected a duration of at most 60s'],
    [
      '  - {pubsub: p, topic: t, route: /x}\n  - {pubsub: p, topic: t, route: /y}',
      'topic "t" of "p" is subscribed to at layotto.yaml:4 already; keep one',
    ],
    ['  - {pubsub: p, topic: t, function: f}', 'subscriptions[0].function: there are no functions here'],
    ['  - {pubsub: p, topic: t, function: a b}', "expected a function's id, 1 to 64 letters"],
    [
      '  - {pubsub: p, topic: t, function: f, bulk: {}}\nfunctions: {listen: 2045}',
      'subscriptions[0].bulk: a function gets its events one by one; remove bulk',
    ],
    ['  pubsub: p', 'subscriptions: expected a list of at most 1000 subscriptions, found'],
  ])('%s is a problem', async (text, problem) => {
    await folder.write({ [file]: native(text) });
    const problems = await folder.problems({ file });
    expect(problems).toHaveLength(1);
    expect(problems[0]).toContain(problem);
  });

  it('may be for functions, each of which has its own for a topic', async () => {
    const list = ['a', 'b'].map((id) => `  - {pubsub: p, topic: t, function: ${id}}`).join('\n');
    await folder.write({ [file]: `${native(list)}\nfunctions: {listen: 2045}`.replace('8080', '0') });
    expect((await folder.config({ file })).subscriptions).toMatchObject([
      { function: 'a', topic: 't', rules: [{ match: '', path: '/' }] },
      { function: 'b', topic: 't' },
    ]);
  });

  it('are taken over while everything runs', async () => {
    await folder.write({ [file]: native('  - {pubsub: p, topic: t, route: /x}') });
    const before = await folder.config({ file });
    await folder.write({ [file]: native('  - {pubsub: p, topic: t, route: /y}') });
    const wanted = await folder.config({ file });
    const { config, fixed } = changes(before, wanted, []);
    expect(fixed).toEqual([]);
    expect(config.subscriptions).toEqual(wanted.subscriptions);
    expect(sameSettings(before, wanted)).toBe(false);
    await folder.write({ [file]: 'app: {port: 8080}\ncomponents: []\n' });
    expect(changes(before, await folder.config({ file }), []).config).not.toHaveProperty('subscriptions');
  });
});

describe("Dapr's resources of the kind Subscription", () => {
  const resource = (version: string, spec: string, more = ''): string =>
    `apiVersion: dapr.io/${version}\nkind: Subscription\nmetadata: {name: s}\n${more}spec:\n  pubsubname: p\n  topic: t\n${spec}`;

  it('are read in both versions, if they are for the app', async () => {
    await folder.write({
      'r/a.yaml': resource('v1alpha1', '  route: /x\n  deadLetterTopic: dead\n', 'scopes: [app]\n'),
      'r/b.yaml': resource(
        'v2alpha1',

        '  routes: {rules: [{match: "event.type == 1", path: /one}], default: /any}\n  bulkSubscribe: {enabled: true, maxMessagesCount: 7}\n',
      ).replace('topic: t', 'topic: u'),
      'r/c.yaml': resource('v1alpha1', '  route: /x\n', 'scopes: [other]\n'),
    });
    const { subscriptions } = await folder.config({ resourcesPath: 'r' });
    expect(subscriptions).toMatchObject([
      {
        name: 's',
        pubsubName: 'p',
        topic: 't',
        form: 'dapr',
        rules: [{ match: '', path: '/x' }],
        deadLetterTopic: 'dead',
      },
      {
        topic: 'u',
        rules: [{ path: '/one' }, { match: '', path: '/any' }],
        bulk: { maxMessages: 7, maxAwaitMs: 0 },
      },
    ]);
  });

  it('are problems where they are wrong', async () => {
    await folder.write({ 'r/a.yaml': resource('v3', '  route: /x\n  bulk: {}\n') });
    expect(await folder.problems({ resourcesPath: 'r' })).toEqual([
      expect.stringContaining('expected dapr.io/v1alpha1 or dapr.io/v2alpha1, found "dapr.io/v3"') as unknown,
      expect.stringContaining('spec.bulk: unknown key') as unknown,
    ]);
  });
});
