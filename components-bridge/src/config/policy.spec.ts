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
      limits: [],
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
    ['policy: {rules: {}}\n', 'policy.rules: expected a list, found a map'],
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
      'layotto.yaml:1 policy.rules: expected at most 500, found 501',
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
