import type { CalleeConfig, RuntimeConfig } from '../components-bridge/src/config/types.js';
import { directRoutes } from './direct-calls.js';
import { SAMPLE_CONFIG } from './samples.js';

type Policy = NonNullable<RuntimeConfig['policy']>;

const to = [{ host: '127.0.0.1', port: 1 }];
const rule = { name: 'r', effect: 'deny', apps: [], primitives: [], operations: [] } as const;
const denying = { ...rule, components: [], secrets: [], topics: [] } as unknown as Policy['rules'][number];
const open: Policy = { default: 'allow', trustDomain: 'cluster.local', rules: [] };

function count(callee: Partial<CalleeConfig>, policy?: Policy): number {
  const config = { ...SAMPLE_CONFIG, callees: { orders: { to, ...callee } }, ...(policy && { policy }) };
  return directRoutes(config).length;
}

test('a callee has such routes: for what may be repeated, and for the rest', () => {
  expect(count({})).toBe(3);
  expect(count({ protocol: 'http', retries: 0, mirror: { to, percent: 10 } })).toBe(3);
});

test.each<[string, Partial<CalleeConfig>]>([
  ['speaks gRPC', { protocol: 'grpc' }],
  ['has a timeout', { timeoutMs: 100 }],
  ['is a place of the web', { endpoint: { path: '', authority: 'a', headers: {} } }],
])('one that %s has none', (_what, callee) => {
  expect(count(callee)).toBe(0);
});

const limit = { name: 'l', apps: [], primitives: [], operations: [], components: [], per: [], perHour: 1 };

const allowing = { ...denying, effect: 'allow' as const };
const closed: Policy = { ...open, default: 'deny' };

test.each<[string, Policy, number]>([
  ['no rule', open, 3],
  ['a rule about everything', { ...open, rules: [denying] }, 0],
  ['a rule about everything for another app', { ...open, rules: [{ ...denying, apps: ['other'] }] }, 0],
  ['a rule about invocation', { ...open, rules: [{ ...denying, primitives: ['state', 'invoke'] }] }, 0],
  ['a rule about its operation', { ...open, rules: [{ ...denying, operations: ['InvokeService'] }] }, 0],
  ['a rule about what begins so', { ...open, rules: [{ ...denying, components: ['ord*'] }] }, 0],
  ['a rule about another primitive', { ...open, rules: [{ ...denying, primitives: ['state'] }] }, 3],
  ['a rule about another operation', { ...open, rules: [{ ...denying, operations: ['DeleteState'] }] }, 3],
  ['a rule about another callee', { ...open, rules: [{ ...denying, components: ['stock'] }] }, 3],
  ['a rule that allows what is allowed', { ...open, rules: [allowing] }, 3],
  ['a default that denies', closed, 0],
  ['a default that denies, and a rule for all', { ...closed, rules: [allowing] }, 3],
  ['the same and one that denies', { ...closed, rules: [allowing, denying] }, 0],
  ['a default that denies, and a rule for some', { ...closed, rules: [{ ...allowing, apps: ['a'] }] }, 0],
  [
    'a default that denies, and a rule for another',
    { ...closed, rules: [{ ...allowing, components: ['b'] }] },
    0,
  ],
  ['a limit of everything', { ...open, limits: [limit] }, 0],
  ['a limit of invocation', { ...open, limits: [{ ...limit, primitives: ['invoke'] }] }, 0],
  ['a limit of something else', { ...open, limits: [{ ...limit, primitives: ['state'] }] }, 3],
])('where the policy has %s', (_what, policy, routes) => {
  expect(count({}, policy)).toBe(routes);
});
