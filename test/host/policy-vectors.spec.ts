import { ALLOWED, BY_DEFAULT, decide } from '../../components-bridge/src/policy/decide.js';
import type { CompiledPolicy, CompiledRule, Subject } from '../../components-bridge/src/policy/types.js';
import { callerOf, VECTORS } from '../policy/vectors.js';
import { Filter, getState } from './harness.js';
import { certificate, COMPONENTS, LAYOTTO, policy, secret, workload } from './policy-filter.js';

describe('the filter decides as the vectors say', () => {
  // Others are about primitives and operations that the module does not serve.
  const served = VECTORS.filter(({ subject, strict }) => pathOf(subject) !== undefined && strict !== true);

  test.each(served)('$about: $expected', async (vector) => {
    expect(await verdict(vector.policy, vector.subject, callerOf(vector))).toBe(vector.expected);
  });

  test('that is most of them', () => {
    expect(served.length).toBeGreaterThan(30);
  });
});

/** The path and message of a call about a subject; undefined if there is none. */
function pathOf({ primitive, operation, component, name }: Subject): [string, Uint8Array?] | undefined {
  if (primitive === 'health') return ['/v1.0/healthz'];
  if (operation === 'Readiness') return ['/actuator/health/readiness'];
  if (operation === 'Info') return ['/actuator/info'];
  if (component === undefined) return undefined;
  if (operation === 'GetState') return [`${LAYOTTO}/GetState`, getState('k', component)];
  if (operation === 'GetSecret' && name !== undefined)
    return [`${LAYOTTO}/GetSecret`, secret(component, name)];
  if (operation === 'GetBulkSecret') return [`${LAYOTTO}/GetBulkSecret`, secret(component, '')];
  return undefined;
}

/** What the filter makes of a call: `allowed`, `default` or the rule that denied it. */
async function verdict(
  found: CompiledPolicy,
  subject: Subject,
  { app, spiffe }: { app: string; spiffe: string },
): Promise<string> {
  const id = app === '' ? 'beside' : app;
  const [, , , , namespace = '', , account = ''] = spiffe.split('/');
  const properties = app === '' ? certificate(spiffe) : workload(namespace, account);
  const overrides = {
    components: COMPONENTS,
    policy: found,
    app: { id, port: 0, protocol: 'http' } as const,
  };
  const filter = await Filter.configured(overrides, properties);
  const [path, message] = pathOf(subject) ?? [''];
  const stream = message === undefined ? filter.http('GET', path) : filter.grpc(path, message);
  const answer = stream.answer;
  if (answer?.grpcStatus !== 7 && answer?.status !== 403) return 'allowed';
  const said = answer.grpcMessage || answer.body.toString();
  return (
    /rule \\?"([^"\\]+)\\?"/.exec(said)?.[1] ??
    (said.startsWith('access denied by policy') ? storeRule(found) : 'default')
  );
}

function storeRule({ rules }: CompiledPolicy): string {
  return rules.find(({ ofStore }) => ofStore === true)?.name ?? '';
}

test('filter and bridge agree about policies that chance made', async () => {
  let seed = 20_261_128;
  const random = (below: number): number => {
    seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0;
    return Math.floor((seed / 2 ** 32) * below);
  };
  const pick = <Value>(values: readonly Value[]): Value => values[random(values.length)] as Value;
  const some = (values: readonly string[]): string[] | undefined =>
    random(2) === 0 ? undefined : Array.from({ length: 1 + random(3) }, () => pick(values));
  const NAMES = ['statestore', 'vault', 's', 'state', 'stat*', '*', 'va*', 'ü*', 'üben', 'statestore*'];
  const SECRETS = ['db', 'db*', 'd', '*', 'x', 'dbx'];
  const APPS = ['shop', 'cart', 'spiffe://a/b', 'spiffe://a/*', 'spiffe://a/b/*', 'sho'];
  const rule = (index: number, deny: boolean): CompiledRule => {
    const lists = {
      apps: some(APPS),
      primitives: some(['state', 'secret', 'health', 'actuator']),
      operations: some(['GetState', 'GetSecret', 'GetBulkSecret', 'Info', 'Healthz']),
      components: some(NAMES),
      secrets: random(4) === 0 ? some(SECRETS) : undefined,
      otherSecrets: random(8) === 0 ? (some(SECRETS) ?? []) : undefined,
      topics: random(16) === 0 ? ['t'] : undefined,
    };
    const used = Object.fromEntries(Object.entries(lists).filter(([, list]) => list !== undefined));
    return { name: `r${index}`, ...(deny ? { deny } : {}), ...used };
  };
  let denied = 0;
  let asked = 0;
  for (let round = 0; round < 150; round++) {
    const size = random(6);
    const split = random(size + 1);
    const found = policy(
      random(2) === 0,
      ...Array.from({ length: size }, (_, index) => rule(index, index < split)),
    );
    for (let call = 0; call < 6; call++) {
      const component = pick(['statestore', 'vault', 'state', 'üben', 'x']);
      const subject: Subject = pick<Subject>([
        { primitive: 'state', operation: 'GetState', component, name: undefined },
        { primitive: 'secret', operation: 'GetSecret', component, name: pick(['db', 'dbx', 'x', 'd']) },
        { primitive: 'secret', operation: 'GetBulkSecret', component, name: undefined },
        { primitive: 'health', operation: 'Healthz', component: '', name: undefined },
        { primitive: 'actuator', operation: 'Info', component: '', name: undefined },
      ]);
      const caller = pick([
        { app: 'shop', spiffe: '' },
        { app: '', spiffe: 'spiffe://a/b' },
        { app: '', spiffe: 'spiffe://a/b/c' },
      ]);
      // Where every component is denied, it is not asked which one it is.
      const early = decide(found, caller, { ...subject, component: undefined, name: undefined });
      // Where no rule asks who calls, the bridge can tell what is left out for all.
      const strict = caller.app === '' && found.rules.some(({ apps }) => apps !== undefined);
      const index = early === ALLOWED ? decide(found, caller, subject, strict) : early;
      const expected = index === ALLOWED ? 'allowed' : index === BY_DEFAULT ? 'default' : `r${index}`;
      const about = JSON.stringify({ found, subject, caller });
      expect([about, await verdict(found, subject, caller)]).toEqual([about, expected]);
      asked++;
      if (expected !== 'allowed') denied++;
    }
  }
  expect(denied).toBeGreaterThan(asked / 10);
  expect(denied).toBeLessThan((asked * 9) / 10);
}, 60_000);
