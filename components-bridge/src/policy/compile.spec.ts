import { compilePolicy } from './compile.js';
import type { StoreAccess } from './compile.js';
import type { TopicScopes } from './topics.js';
import { Policy } from './policy.js';
import type { PolicyRule } from './types.js';

function rule(name: string, effect: 'allow' | 'deny', more: Partial<PolicyRule> = {}): PolicyRule {
  const empty = { apps: [], primitives: [], operations: [], components: [], secrets: [], topics: [] };
  return { name, effect, ...empty, ...more };
}

it('puts rules that deny first, and leaves out what they do not say', () => {
  const rules = [
    rule('a', 'allow', { apps: ['shop'] }),
    rule('b', 'deny', { operations: ['GetState'] }),
    rule('c', 'allow'),
  ];
  const policy = { default: 'deny', trustDomain: 'cluster.local', rules } as const;
  expect(compilePolicy({ policy: { ...policy, rules }, components: [] })).toEqual({
    denies: true,
    trustDomain: 'cluster.local',
    rules: [
      { name: 'b', deny: true, operations: ['GetState'] },
      { name: 'a', apps: ['shop'] },
      { name: 'c' },
    ],
  });
});

it('is none where nothing is said', () => {
  expect(compilePolicy({ components: [{ name: 'vault', primitive: 'secret' }] })).toBeUndefined();
});

describe('what stands with a secret store', () => {
  const access = (base: 'allow' | 'deny', allowed: string[] = [], denied: string[] = []): StoreAccess => ({
    default: base,
    allowed,
    denied,
  });
  const mayRead = (found: StoreAccess | undefined, name: string): boolean => {
    const policy = new Policy({ components: [{ name: 'vault', primitive: 'secret', access: found }] });
    const subject = { primitive: 'secret', operation: 'GetSecret', component: 'vault', name };
    return policy.denialOf({ app: 'shop', spiffe: '' }, subject) === undefined;
  };

  it.each([
    ['no rules', undefined, 'abc'],
    ['the default to allow', access('allow'), 'abc'],
    ['the default to deny', access('deny'), ''],
    ['some denied', access('allow', [], ['b']), 'ac'],
    ['some allowed', access('deny', ['a', 'b']), 'ab'],
    ['some allowed, whatever the default', access('allow', ['a']), 'a'],
    ['allowed and denied: allowed counts', access('allow', ['a'], ['a', 'b']), 'a'],
    ['denied where the default denies', access('deny', [], ['b']), ''],
  ])('%s', (_, found, readable) => {
    expect([...'abc'].filter((name) => mayRead(found, name)).join('')).toBe(readable);
  });

  it('compares names as they are', () => {
    for (const name of ['A', 'a ', 'a\0', 'toString', 'a*'])
      expect(mayRead(access('deny', ['a']), name)).toBe(false);
    expect(mayRead(access('deny', ['a*']), 'ab')).toBe(false);
    expect(mayRead(access('deny', ['a*']), 'a*')).toBe(true);
  });

  it('is told in the words of Dapr', () => {
    const policy = new Policy({
      components: [{ name: 'vault', primitive: 'secret', access: access('deny') }],
    });
    const subject = { primitive: 'secret', operation: 'GetSecret', component: 'vault', name: 'db' };
    expect(policy.admit({ app: 'shop', spiffe: '' }, subject)).toEqual({
      rule: 'access:vault',
      message: 'access denied by policy to get "db" from "vault"',
      ofComponent: true,
    });
    expect([...policy.denials]).toEqual([['access:vault', 1]]);
  });
});

describe('what stands with a broker', () => {
  const none = { allowed: [], protected: [], publishing: {}, subscription: {} };
  const compiled = (scopes: Partial<TopicScopes>): unknown =>
    compilePolicy({
      components: [{ name: 'events', primitive: 'pubsub', topicScopes: { ...none, ...scopes } }],
      app: { id: 'shop' },
    })?.rules.map(({ operations = [], topics, otherTopics }) => ({
      ...(operations.includes('PublishEvent') ? { of: 'publish' } : { of: 'subscribe' }),
      ...(topics === undefined ? {} : { topics }),
      ...(otherTopics === undefined ? {} : { otherTopics }),
    })) ?? [];

  it('allows the topics that there are', () => {
    expect(compiled({ allowed: ['a', 'b'], protected: ['b'] })).toEqual([
      { of: 'publish', otherTopics: ['a'] },
      { of: 'subscribe', otherTopics: ['a'] },
    ]);
  });

  it('allows an app what its scopes name, and others what is not protected', () => {
    const scopes = { protected: ['b'], publishing: { shop: ['a', 'b'] }, subscription: { other: ['b'] } };
    expect(compiled(scopes)).toEqual([
      { of: 'publish', otherTopics: ['a', 'b'] },
      { of: 'subscribe', topics: ['b'] },
    ]);
    expect(compiled({ allowed: ['a'], publishing: { shop: ['a', 'b'] } })).toEqual([
      { of: 'publish', otherTopics: ['a'] },
      { of: 'subscribe', otherTopics: ['a'] },
    ]);
    expect(compiled({ subscription: { shop: [] } })).toEqual([{ of: 'subscribe', otherTopics: [] }]);
    expect(compiled({})).toEqual([]);
  });

  it('is told in the words of Dapr', () => {
    const topicScopes = { ...none, allowed: ['a'] };
    const policy = new Policy({ components: [{ name: 'events', primitive: 'pubsub', topicScopes }] });
    const subject = { primitive: 'pubsub', operation: 'PublishEvent', component: 'events', name: 'b' };
    expect(policy.admit({ app: 'shop', spiffe: '' }, subject)).toEqual({
      rule: 'topics:events',
      message: 'topic b is not allowed for app id shop',
      ofComponent: true,
    });
  });
});
