import { configFolder } from '../../../test/support/config-files.js';
import type { ConfigFolder } from '../../../test/support/config-files.js';

let folder: ConfigFolder;
beforeEach(async () => (folder = await configFolder()));
afterEach(() => folder.remove());

const file = 'layotto.yaml';

async function problemsOf(text: string): Promise<string[]> {
  await folder.write({ [file]: text });
  return folder.problems({ file });
}

/** A policy with one rule, which is on line 4. */
function ruled(rule: string): string {
  return `policy:\n  default: deny\n  rules:\n    - ${rule}\n`;
}

describe('policy', () => {
  it('is read', async () => {
    await folder.write({
      [file]: `
policy:
  default: Deny
  trustDomain: prod.example
  rules:
    - name: checkout-reads
      apps: [shop, "spiffe://prod.example/ns/shop/sa/checkout", "spiffe://prod.example/ns/ops/*"]
      allow: {primitives: [state], operations: [GetState, GetBulkState], components: [statestore, cache-*]}
    - name: no-root
      deny: {secrets: [root, root-*]}
    - name: orders
      allow: {topics: [orders]}
    - name: rest
      apps: [ops]
      allow: {}
`,
    });
    const none = { apps: [], primitives: [], operations: [], components: [], secrets: [], topics: [] };
    const { policy, lifecycle } = await folder.config({ file });
    expect(policy).toEqual({
      default: 'deny',
      trustDomain: 'prod.example',
      rules: [
        {
          ...none,
          name: 'checkout-reads',
          effect: 'allow',
          apps: ['shop', 'spiffe://prod.example/ns/shop/sa/checkout', 'spiffe://prod.example/ns/ops/*'],
          primitives: ['state'],
          operations: ['GetState', 'GetBulkState'],
          components: ['statestore', 'cache-*'],
        },
        { ...none, name: 'no-root', effect: 'deny', secrets: ['root', 'root-*'] },
        { ...none, name: 'orders', effect: 'allow', topics: ['orders'] },
        { ...none, name: 'rest', effect: 'allow', apps: ['ops'] },
      ],
      limits: [],
    });
    // Who may give components other settings gets at their secrets too.
    expect(lifecycle.apply).toBe(false);
  });

  it('is none if nothing is said, and allows what its rules do not deny', async () => {
    await folder.write({ [file]: 'app: {id: shop}\n' });
    expect((await folder.config({ file })).policy).toBeUndefined();
    await folder.write({ [file]: 'policy: {rules: [{name: a, deny: {primitives: [file]}}]}\n' });
    const { policy, lifecycle } = await folder.config({ file });
    expect([policy?.default, policy?.trustDomain, lifecycle.apply]).toEqual(['allow', 'cluster.local', true]);
  });

  it.each([
    [
      'policy: yes\n',
      'layotto.yaml:1 policy: expected a map with default, trustDomain, rules, limits, found',
    ],
    ['policy: {defualt: deny}\n', 'layotto.yaml:1 policy.defualt: unknown key; did you mean "default"?'],
    ['policy: {default: maybe}\n', 'layotto.yaml:1 policy.default: expected allow or deny, found "maybe"'],
    [
      'policy: {rules: [{name: a, allow: {}}]}\n',
      'policy.default: expected allow or deny, because there are rules that allow; found nothing',
    ],
    [
      'policy: {trustDomain: "spiffe://a"}\n',
      'policy.trustDomain: expected a trust domain such as cluster.local, found "spiffe://a"',
    ],
    ['policy: {rules: {}}\n', 'policy.rules: expected a list of rules, found a map'],
    [ruled('{deny: {}}'), 'layotto.yaml:4 policy.rules[0].name: expected a name of its own'],
    [ruled('{name: default, deny: {}}'), 'and not "default", found "default"'],
    [
      ruled('{name: a, deny: {}}\n    - {name: a, deny: {}}'),
      'layotto.yaml:5 policy.rules[1].name: another rule is called "a" too',
    ],
    [ruled('{name: a}'), 'policy.rules[0]: expected either allow or deny, found neither'],
    [ruled('{name: a, allow: {}, deny: {}}'), 'policy.rules[0]: expected either allow or deny, found both'],
    [
      ruled('{name: a, deny: }'),
      'policy.rules[0].deny: expected a map with primitives, operations, components, secrets, topics, found an empty value; {} stands for everything',
    ],
    [
      ruled('{name: a, deny: {operation: [GetState]}}'),
      'policy.rules[0].deny.operation: unknown key; did you mean "operations"?',
    ],
    [
      ruled('{name: a, deny: {operations: [GetStat]}}'),
      'policy.rules[0].deny.operations[0]: there is no operation "GetStat"; did you mean "GetState"?',
    ],
    [
      ruled('{name: a, deny: {primitives: [lock], operations: [GetState]}}'),
      'there is no operation "GetState" of lock; known: LockKeepAlive, TryLock, Unlock',
    ],
    [ruled('{name: a, deny: {primitives: [stat]}}'), 'there is no primitive "stat"; did you mean "state"?'],
    [
      ruled('{name: a, deny: {components: []}}'),
      'policy.rules[0].deny.components: expected a list of 1 to 200 names (leave it out if it does not matter), found an empty list',
    ],
    [ruled('{name: a, deny: {components: statestore}}'), 'found "statestore"'],
    [
      ruled('{name: a, deny: {components: ["a*b"]}}'),
      'policy.rules[0].deny.components[0]: expected "*" at the end only, found "a*b"',
    ],
    [ruled('{name: a, apps: [], deny: {}}'), 'policy.rules[0].apps: expected a list of 1 to 200 names'],
    [
      ruled('{name: a, apps: ["shop*"], deny: {}}'),
      'policy.rules[0].apps[0]: expected an app id without "*", found "shop*"',
    ],
    [
      ruled('{name: a, apps: ["spiffe://a/b*"], deny: {}}'),
      'policy.rules[0].apps[0]: expected a SPIFFE id such as',
    ],
    [
      ruled('{name: a, apps: ["spiffe://a"], deny: {}}'),
      'policy.rules[0].apps[0]: expected a SPIFFE id such as',
    ],
    [
      ruled('{name: a, apps: ["https://a/b"], deny: {}}'),
      'policy.rules[0].apps[0]: expected a SPIFFE id such as',
    ],
    [
      ruled('{name: a, deny: {primitives: [state], secrets: [a]}}'),
      'only calls of secret have secrets, and this rule is about state; add secret to primitives',
    ],
    [
      ruled('{name: a, deny: {secrets: [a], topics: [b]}}'),
      'no call has a secret and a topic; make two rules of it',
    ],
  ])('that is wrong is told: %s', async (text, problem) => {
    expect((await problemsOf(text)).join('\n')).toContain(problem);
  });

  it('has no more rules than the filter should go through', async () => {
    const rules = Array.from({ length: 501 }, (_, index) => `{name: r${index}, deny: {}}`);
    expect(await problemsOf(`policy: {rules: [${rules.join(', ')}]}\n`)).toEqual([
      'layotto.yaml:1 policy.rules: expected at most 500 rules, found 501',
    ]);
  });

  it('says of components that nobody has configured', async () => {
    await folder.write({
      [file]: ruled('{name: a, deny: {primitives: [state], components: [statstore, other-*]}}'),
    });
    const found = await folder.load({ file });
    expect(found.notices.map(({ key, message }) => `${key}: ${message}`)).toEqual([
      'policy.rules.0.deny.components: the rule "a" names "statstore"; did you mean "statestore"?',
    ]);
  });
});

/** A policy with one limit, which is on line 3. */
function limited(limit: string): string {
  return `policy:\n  limits:\n    - ${limit}\n`;
}

describe('limits', () => {
  it('are read', async () => {
    await folder.write({
      [file]: `
policy:
  limits:
    - name: reads
      apps: [shop]
      primitives: [state]
      operations: [GetState]
      components: [statestore, cache-*]
      rate: 600/m
      burst: 50
      per: [component, app]
    - {name: all, rate: 100/s}
    - {name: rare, rate: 1/h}
    - {name: fast, rate: 1000000/s}
    - {name: slow-store, components: [statestore], concurrency: 4}
    - {name: both, rate: 10/s, concurrency: 2}
`,
    });
    const none = { apps: [], primitives: [], operations: [], components: [], per: [] };
    const { policy, lifecycle } = await folder.config({ file });
    expect(policy).toMatchObject({ default: 'allow', rules: [] });
    expect(policy?.limits).toEqual([
      {
        name: 'reads',
        apps: ['shop'],
        primitives: ['state'],
        operations: ['GetState'],
        components: ['statestore', 'cache-*'],
        per: ['component', 'app'],
        perHour: 36_000,
        burst: 50,
      },
      // Without a burst: what a second gives, and at least one.
      { ...none, name: 'all', perHour: 360_000, burst: 100 },
      { ...none, name: 'rare', perHour: 1, burst: 1 },
      { ...none, name: 'fast', perHour: 3_600_000_000, burst: 1_000_000 },
      { ...none, name: 'slow-store', components: ['statestore'], concurrency: 4 },
      { ...none, name: 'both', perHour: 36_000, burst: 10, concurrency: 2 },
    ]);
    expect(lifecycle.apply).toBe(true);
  });

  const RATE =
    'policy.limits[0].rate: expected a rate such as 100/s, 600/m or 50/h, at most 1000000/s, found';
  it.each([
    ['policy: {limits: {}}\n', 'layotto.yaml:1 policy.limits: expected a list of limits, found a map'],
    [limited('reads'), 'layotto.yaml:3 policy.limits[0]: expected a map with name, apps, primitives'],
    [limited('{name: a, rte: 1/s}'), 'policy.limits[0].rte: unknown key; did you mean "rate"?'],
    [limited('{rate: 1/s}'), 'policy.limits[0].name: expected a name of its own'],
    [limited('{name: "a b", rate: 1/s}'), 'policy.limits[0].name: expected a name of its own'],
    [limited('{name: default, rate: 1/s}'), 'and not "default", found "default"'],
    [
      limited('{name: a, rate: 1/s}\n    - {name: a, rate: 2/s}'),
      'layotto.yaml:4 policy.limits[1].name: another limit is called "a" too; refusals are counted by name',
    ],
    [limited('{name: a}'), 'policy.limits[0]: expected rate, concurrency or both, found neither'],
    [limited('{name: a, rate: 100}'), `${RATE} 100`],
    [limited('{name: a, rate: 0/s}'), `${RATE} "0/s"`],
    [limited('{name: a, rate: 1/d}'), `${RATE} "1/d"`],
    [limited('{name: a, rate: 1.5/s}'), `${RATE} "1.5/s"`],
    [limited('{name: a, rate: 1000001/s}'), `${RATE} "1000001/s"`],
    [limited('{name: a, rate: }'), `${RATE} an empty value`],
    [
      limited('{name: a, rate: 1/s, burst: 0}'),
      'policy.limits[0].burst: expected a whole number from 1 to 1000000, found 0',
    ],
    [
      limited('{name: a, rate: 1/s, burst: 1000001}'),
      'expected a whole number from 1 to 1000000, found 1000001',
    ],
    [limited('{name: a, rate: 1/s, burst: "5"}'), 'expected a whole number from 1 to 1000000, found "5"'],
    [
      limited('{name: a, concurrency: 1.5}'),
      'policy.limits[0].concurrency: expected a whole number from 1 to 1000000, found 1.5',
    ],
    [
      limited('{name: a, concurrency: 2, burst: 5}'),
      'policy.limits[0].burst: burst says more about a rate, and there is none',
    ],
    [
      limited('{name: a, concurrency: 2, per: [app]}'),
      'policy.limits[0].per: per says more about a rate, and there is none',
    ],
    [
      limited('{name: a, rate: 1/s, per: [components]}'),
      'policy.limits[0].per[0]: expected primitive, component, app, found "components"; did you mean "component"?',
    ],
    [
      limited('{name: a, rate: 1/s, per: component}'),
      'policy.limits[0].per: expected a list of primitive, component, app, found "component"',
    ],
    [limited('{name: a, rate: 1/s, per: []}'), 'policy.limits[0].per: expected a list of 1 to 200 names'],
    [
      limited('{name: a, concurrency: 2, apps: [shop]}'),
      'policy.limits[0].apps: concurrency is counted by component; make a limit of its own without apps',
    ],
    [
      limited('{name: a, concurrency: 2, operations: [GetState]}'),
      'policy.limits[0].operations: concurrency is counted by component; make a limit of its own without operations',
    ],
    [
      limited('{name: a, rate: 1/s, primitives: [state], operations: [GetStat]}'),
      'policy.limits[0].operations[0]: there is no operation "GetStat" of state; did you mean "GetState"?',
    ],
    [
      limited('{name: a, rate: 1/s, primitives: [stat]}'),
      'there is no primitive "stat"; did you mean "state"?',
    ],
    [
      limited('{name: a, rate: 1/s, components: ["a*b"]}'),
      'policy.limits[0].components[0]: expected "*" at the end only, found "a*b"',
    ],
    [
      limited('{name: a, rate: 1/s, apps: ["shop*"]}'),
      'policy.limits[0].apps[0]: expected an app id without "*", found "shop*"',
    ],
    [limited('{name: a, rate: 1/s, secrets: [b]}'), 'policy.limits[0].secrets: unknown key'],
  ])('that are wrong are told: %s', async (text, problem) => {
    expect((await problemsOf(text)).join('\n')).toContain(problem);
  });

  it('are no more than the filter should go through', async () => {
    const limits = Array.from({ length: 101 }, (_, index) => `{name: l${index}, rate: 1/s}`);
    expect(await problemsOf(`policy: {limits: [${limits.join(', ')}]}\n`)).toEqual([
      'layotto.yaml:1 policy.limits: expected at most 100 limits, found 101',
    ]);
  });

  it('say of components that nobody has configured', async () => {
    await folder.write({
      [file]: limited('{name: a, rate: 1/s, primitives: [state], components: [statstore, other-*]}'),
    });
    const found = await folder.load({ file });
    expect(found.notices.map(({ key, message }) => `${key}: ${message}`)).toEqual([
      'policy.limits.0.components: the limit "a" names "statstore"; did you mean "statestore"?',
    ]);
  });
});
