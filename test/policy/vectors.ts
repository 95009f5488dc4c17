import type {
  Caller,
  CompiledPolicy,
  CompiledRule,
  Subject,
} from '../../components-bridge/src/policy/types.js';

/** One question and what is to come of it: `allowed`, `default` or the name of the rule that denies. */
export interface Vector {
  about: string;
  policy: CompiledPolicy;
  caller?: Partial<Caller>;
  subject: Subject;
  strict?: boolean;
  expected: string;
}

const GET = { primitive: 'state', operation: 'GetState', component: 'statestore', name: undefined } as const;
const SECRET = { primitive: 'secret', operation: 'GetSecret', component: 'vault', name: 'db' } as const;
const BULK = { ...SECRET, operation: 'GetBulkSecret', name: undefined } as const;
const REMOTE = { app: '', spiffe: 'spiffe://cluster.local/ns/shop/sa/checkout' };

function policy(denies: boolean, ...rules: CompiledRule[]): CompiledPolicy {
  return { denies, trustDomain: 'cluster.local', rules };
}

const yes = (rule: Partial<CompiledRule> = {}): CompiledRule => ({ name: 'yes', ...rule });
const no = (rule: Partial<CompiledRule> = {}): CompiledRule => ({ name: 'no', deny: true, ...rule });

/** What both evaluations are held to. */
export const VECTORS: readonly Vector[] = [
  { about: 'nothing said', policy: policy(false), subject: GET, expected: 'allowed' },
  { about: 'the default denies', policy: policy(true), subject: GET, expected: 'default' },
  {
    about: 'health is never denied by default',
    policy: policy(true),
    subject: { ...GET, primitive: 'health', operation: 'Healthz', component: '' },
    expected: 'allowed',
  },
  {
    about: 'nor by a rule for everything',
    policy: policy(true, no()),
    subject: { ...GET, primitive: 'health', operation: 'Healthz', component: '' },
    expected: 'allowed',
  },
  {
    about: 'but by one that names it',
    policy: policy(false, no({ primitives: ['health'] })),
    subject: { ...GET, primitive: 'health', operation: 'Healthz', component: '' },
    expected: 'no',
  },
  {
    about: 'readiness is health',
    policy: policy(true, no()),
    subject: { ...GET, primitive: 'actuator', operation: 'Readiness', component: '' },
    expected: 'allowed',
  },
  {
    about: "other actuator's calls are not",
    policy: policy(true),
    subject: { ...GET, primitive: 'actuator', operation: 'Info', component: '' },
    expected: 'default',
  },
  { about: 'a rule for everything allows', policy: policy(true, yes()), subject: GET, expected: 'allowed' },
  { about: 'a rule for everything denies', policy: policy(false, no()), subject: GET, expected: 'no' },
  {
    about: 'denial comes first',
    policy: policy(true, no({ operations: ['GetState'] }), yes()),
    subject: GET,
    expected: 'no',
  },
  {
    about: 'every condition must hold',
    policy: policy(
      true,
      yes({ primitives: ['state'], operations: ['GetState'], components: ['statestore'] }),
    ),
    subject: GET,
    expected: 'allowed',
  },
  {
    about: 'another primitive',
    policy: policy(true, yes({ primitives: ['lock'] })),
    subject: GET,
    expected: 'default',
  },
  {
    about: 'another operation',
    policy: policy(true, yes({ operations: ['SaveState'] })),
    subject: GET,
    expected: 'default',
  },
  {
    about: 'another component',
    policy: policy(true, yes({ components: ['other'] })),
    subject: GET,
    expected: 'default',
  },
  {
    about: 'no component',
    policy: policy(true, yes({ components: ['*'] })),
    subject: { ...GET, component: '' },
    expected: 'default',
  },
  {
    about: 'a component that begins so',
    policy: policy(true, yes({ components: ['state*'] })),
    subject: GET,
    expected: 'allowed',
  },
  {
    about: 'a component that begins otherwise',
    policy: policy(true, yes({ components: ['states*'] })),
    subject: { ...GET, component: 'state' },
    expected: 'default',
  },
  {
    about: 'names have case',
    policy: policy(true, yes({ components: ['StateStore'] })),
    subject: GET,
    expected: 'default',
  },
  {
    about: 'a name beyond ASCII',
    policy: policy(true, yes({ components: ['café*'] })),
    subject: { ...GET, component: 'café☕' },
    expected: 'allowed',
  },
  {
    about: 'a component not known yet may be allowed',
    policy: policy(true, yes({ components: ['other'] })),
    subject: { ...GET, component: undefined },
    expected: 'allowed',
  },
  {
    about: 'a component not known yet is not denied',
    policy: policy(false, no({ components: ['other'] })),
    subject: { ...GET, component: undefined },
    expected: 'allowed',
  },
  {
    about: 'unless whichever it is',
    policy: policy(false, no({ primitives: ['state'] })),
    subject: { ...GET, component: undefined },
    expected: 'no',
  },
  {
    about: 'the app by its id',
    policy: policy(true, yes({ apps: ['shop'] })),
    subject: GET,
    expected: 'allowed',
  },
  {
    about: 'another app',
    policy: policy(true, yes({ apps: ['cart', 'shops'] })),
    subject: GET,
    expected: 'default',
  },
  {
    about: 'the app by its SPIFFE id',
    policy: policy(true, yes({ apps: ['spiffe://cluster.local/ns/shop/sa/default'] })),
    caller: { spiffe: 'spiffe://cluster.local/ns/shop/sa/default' },
    subject: GET,
    expected: 'allowed',
  },
  {
    about: 'a SPIFFE id and no mesh',
    policy: policy(true, yes({ apps: ['spiffe://cluster.local/ns/shop/*'] })),
    subject: GET,
    expected: 'default',
  },
  {
    about: 'a caller with a certificate',
    policy: policy(true, yes({ apps: ['spiffe://cluster.local/ns/shop/*'] })),
    caller: REMOTE,
    subject: GET,
    expected: 'allowed',
  },
  {
    about: 'one of another namespace',
    policy: policy(
      true,
      yes({ apps: ['spiffe://cluster.local/ns/sho/*', 'spiffe://cluster.local/ns/shop2/*'] }),
    ),
    caller: REMOTE,
    subject: GET,
    expected: 'default',
  },
  {
    about: 'one of another trust domain',
    policy: policy(true, yes({ apps: ['spiffe://other.local/ns/shop/sa/checkout'] })),
    caller: REMOTE,
    subject: GET,
    expected: 'default',
  },
  {
    about: 'is not the app beside the runtime',
    policy: policy(true, yes({ apps: ['shop'] })),
    caller: REMOTE,
    subject: GET,
    expected: 'default',
  },
  {
    about: 'nor if it has no id',
    policy: policy(true, yes({ apps: ['shop', 'spiffe://cluster.local/*'] })),
    caller: { app: '', spiffe: '' },
    subject: GET,
    expected: 'default',
  },
  {
    about: 'a secret',
    policy: policy(true, yes({ secrets: ['db*'] })),
    subject: SECRET,
    expected: 'allowed',
  },
  {
    about: 'another secret',
    policy: policy(true, yes({ secrets: ['a', 'db-'] })),
    subject: SECRET,
    expected: 'default',
  },
  {
    about: 'a secret denied',
    policy: policy(false, no({ secrets: ['db'] })),
    subject: SECRET,
    expected: 'no',
  },
  {
    about: 'calls of other primitives have no secret',
    policy: policy(false, no({ secrets: ['*'] })),
    subject: { ...GET, name: 'db' },
    expected: 'allowed',
  },
  {
    about: 'all secrets: some may be allowed',
    policy: policy(true, yes({ secrets: ['db'] })),
    subject: BULK,
    expected: 'allowed',
  },
  {
    about: 'all secrets, strictly: all must be',
    policy: policy(true, yes({ secrets: ['db'] })),
    subject: BULK,
    strict: true,
    expected: 'default',
  },
  {
    about: 'all secrets, strictly: none may be denied',
    policy: policy(false, no({ secrets: ['db'] })),
    subject: BULK,
    strict: true,
    expected: 'no',
  },
  {
    about: 'all but some are denied',
    policy: policy(false, no({ otherSecrets: ['db'], ofStore: true, components: ['vault'] })),
    subject: { ...SECRET, name: 'x' },
    expected: 'no',
  },
  {
    about: 'and those are not',
    policy: policy(false, no({ otherSecrets: ['db'], ofStore: true, components: ['vault'] })),
    subject: SECRET,
    expected: 'allowed',
  },
  {
    about: 'a store denies all',
    policy: policy(false, no({ otherSecrets: [], ofStore: true, components: ['vault'] })),
    subject: SECRET,
    expected: 'no',
  },
  {
    about: "a store's names have no patterns",
    policy: policy(false, no({ otherSecrets: ['d*'], ofStore: true })),
    subject: SECRET,
    expected: 'no',
  },
  {
    about: 'a topic',
    policy: policy(true, yes({ topics: ['orders'] })),
    subject: { primitive: 'pubsub', operation: 'PublishEvent', component: 'bus', name: 'orders' },
    expected: 'allowed',
  },
  {
    about: 'another topic',
    policy: policy(true, yes({ topics: ['orders'] })),
    subject: { primitive: 'pubsub', operation: 'PublishEvent', component: 'bus', name: 'orders2' },
    expected: 'default',
  },
  {
    about: 'a topic of a secret',
    policy: policy(true, yes({ topics: ['*'] })),
    subject: SECRET,
    expected: 'default',
  },
  {
    about: 'names that are in every object',
    policy: policy(true, yes({ components: ['toString', '__proto__'] })),
    subject: { ...GET, component: 'constructor' },
    expected: 'default',
  },
  {
    about: 'topics that stand with a component are taken as they are',
    policy: policy(false, no({ topics: ['a*'], ofStore: true, components: ['events'] })),
    subject: { primitive: 'pubsub', operation: 'PublishEvent', component: 'events', name: 'ab' },
    expected: 'allowed',
  },
  {
    about: 'topics other than these',
    policy: policy(false, no({ otherTopics: ['orders'], ofStore: true, components: ['events'] })),
    subject: { primitive: 'pubsub', operation: 'PublishEvent', component: 'events', name: 'bills' },
    expected: 'no',
  },
  {
    about: 'and not these',
    policy: policy(false, no({ otherTopics: ['orders'], ofStore: true, components: ['events'] })),
    subject: { primitive: 'pubsub', operation: 'PublishEvent', component: 'events', name: 'orders' },
    expected: 'allowed',
  },
  {
    about: 'no topic at all',
    policy: policy(false, no({ otherTopics: [] })),
    subject: { primitive: 'pubsub', operation: 'PublishEvent', component: 'events', name: 'orders' },
    expected: 'no',
  },
  {
    about: 'a topic that is not known yet, strictly',
    policy: policy(false, no({ otherTopics: ['orders'] })),
    subject: { primitive: 'pubsub', operation: 'PublishEvent', component: 'events', name: undefined },
    strict: true,
    expected: 'no',
  },
  {
    about: 'only publish and subscribe have topics',
    policy: policy(false, no({ otherTopics: ['orders'] })),
    subject: GET,
    expected: 'allowed',
  },
];

/** The caller of a vector: the app beside the runtime, outside a mesh, unless it says otherwise. */
export function callerOf({ caller = {} }: Vector): Caller {
  return { app: 'shop', spiffe: '', ...caller };
}
