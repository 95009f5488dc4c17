import { Filter, getState, grpcHeaders } from './harness.js';
import type { HttpStream } from '../../cli/src/emulator/http-stream.js';
import { COMPONENTS, connected, LAYOTTO, policy, secret, workload } from './policy-filter.js';

const DAPR = '/dapr.proto.runtime.v1.Dapr';

const NO_READS = policy(false, {
  name: 'no-reads',
  deny: true,
  primitives: ['state'],
  operations: ['GetState'],
});
const NO_READS_TEXT =
  'app "shop" may not call state GetState of component "statestore": denied by the policy, rule "no-reads"';

/** What a gRPC caller was told. */
function status(stream: HttpStream): [number | undefined, string] {
  return [stream.answer?.grpcStatus, stream.answer?.grpcMessage ?? ''];
}

function denials(filter: Filter, rule: string): number | undefined {
  filter.advance(1_000);
  return filter.host.metric(`layotto_policy_denials_total;rule=${rule}`);
}

describe('a denied call', () => {
  // The component may be anything yet, and the rule denies all of them: the request is not even read.
  const early = NO_READS_TEXT.replace(' of component "statestore"', '');
  const one = policy(false, {
    name: 'no-reads',
    deny: true,
    operations: ['GetState'],
    components: ['statestore'],
  });

  test.each([LAYOTTO, DAPR])('is told so by %s', async (service) => {
    const filter = await connected(one);
    expect(status(filter.grpc(`${service}/GetState`, getState('k')))).toEqual([7, NO_READS_TEXT]);
    expect(filter.bridge.requests()).toEqual([]);
    expect(denials(filter, 'no-reads')).toBe(1);
  });

  test('is told so over HTTP, each way in its own shape', async () => {
    const filter = await connected(one);
    const dapr = filter.http('GET', '/v1.0/state/statestore/k');
    expect(dapr.answer?.status).toBe(403);
    expect(JSON.parse(String(dapr.answer?.body))).toEqual({
      errorCode: 'ERR_PERMISSION_DENIED',
      message: NO_READS_TEXT,
    });
    const json = filter.http('POST', '/v1.0-layotto/state/GetState', '{"storeName":"statestore","key":"k"}');
    expect(json.answer?.status).toBe(403);
    expect(JSON.parse(String(json.answer?.body))).toMatchObject({
      errorCode: 'PERMISSION_DENIED',
      message: NO_READS_TEXT,
    });
    expect(filter.bridge.requests()).toEqual([]);
    expect(denials(filter, 'no-reads')).toBe(2);
  });

  test('is denied before its body is here, if no component can change that', async () => {
    const filter = await connected(NO_READS);
    const stream = filter.host.openStream(filter.root);
    stream.callOnRequestHeaders(grpcHeaders(`${LAYOTTO}/GetState`), false);
    expect(status(stream)).toEqual([7, early]);
  });

  test('is logged at debug', async () => {
    const filter = await connected(one);
    filter.getState('k');
    const lines = filter.host.logs.filter(({ message }) => message === NO_READS_TEXT);
    expect(lines).toEqual([{ level: 'debug', message: NO_READS_TEXT }]);
    expect(filter.complaints).toEqual([]);
  });

  test('says no more of a component that is not there', async () => {
    const filter = await connected(
      policy(true, { name: 'some', primitives: ['state'], components: ['statestore'] }),
    );
    const text =
      'app "shop" may not call state GetState of component "nope": denied by the policy, by default';
    expect(status(filter.grpc(`${LAYOTTO}/GetState`, getState('k', 'nope')))).toEqual([7, text]);
    expect(denials(filter, 'default')).toBe(1);
  });

  test('repeats no more than a part of a long name', async () => {
    const filter = await connected(policy(true, { name: 'some', components: ['statestore'] }));
    const [code, text] = status(filter.grpc(`${LAYOTTO}/GetState`, getState('k', 'n'.repeat(100_000))));
    expect(code).toBe(7);
    expect(text.length).toBeLessThan(500);
  });
});

describe('nothing gets by', () => {
  test('an id that Envoy has at hand', async () => {
    const only = { name: 'only', primitives: ['state'] };
    const filter = await connected(policy(true, only));
    const body = '{"storeName":"ids","key":"k"}';
    for (let i = 0; i < 3; i++) {
      const stream = filter.http('POST', '/v1.0-layotto/sequencer/GetNextId', body);
      expect(stream.answer?.status).toBe(403);
    }
    // A component of the primitive may be allowed, but not this one: the request is read, and nothing is asked for.
    const other = await connected(policy(true, { name: 'other', components: ['others'] }));
    const message = Buffer.concat([
      Buffer.from([0x0a, 3]),
      Buffer.from('ids'),
      Buffer.from([0x12, 1]),
      Buffer.from('k'),
    ]);
    for (let i = 0; i < 3; i++) {
      expect(status(other.grpc(`${LAYOTTO}/GetNextId`, message))[0]).toBe(7);
    }
    expect(other.bridge.requests()).toEqual([]);
  });

  test('what names no component: metadata, the description of the API', async () => {
    const filter = await connected(policy(true));
    for (const path of [
      '/v1.0/metadata',
      '/v1.0-layotto/asyncapi.json',
      '/v1.0-layotto/openapi.json',
      '/actuator/info',
      '/actuator/logger',
    ]) {
      expect([path, filter.http('GET', path).answer?.status]).toEqual([path, 403]);
    }
    const lifecycle = filter.http('POST', '/v1.0-layotto/lifecycle/ApplyConfiguration', '{}');
    expect(lifecycle.answer?.status).toBe(403);
    expect(filter.bridge.requests()).toEqual([]);
  });

  test('but questions about health do, whatever the default is', async () => {
    const filter = await connected(policy(true));
    expect(filter.http('GET', '/v1.0/healthz').answer?.status).toBe(204);
    expect(filter.http('GET', '/actuator/health/liveness').answer?.status).toBe(200);
  });

  test('a stream: denied if no component may, else told to the bridge', async () => {
    const denied = await connected(policy(true, { name: 'state-only', primitives: ['state'] }));
    const stream = denied.host.openStream(denied.root);
    stream.callOnRequestHeaders(grpcHeaders(`${LAYOTTO}/GetFile`), false);
    expect(status(stream)[0]).toBe(7);
    const some = await connected(policy(true, { name: 'some', primitives: ['file'], components: ['files'] }));
    const passing = some.host.openStream(some.root);
    const headers = { ...grpcHeaders(`${LAYOTTO}/GetFile`), 'x-layotto-caller': 'remote:spiffe://a/b' };
    passing.callOnRequestHeaders(headers, false);
    expect(passing.localReplies).toEqual([]);
    // Who is beside this Envoy may write any header.
    expect(passing.requestHeaders.get('x-layotto-caller')).toBeUndefined();
  });
});

describe('who calls', () => {
  const ID = 'spiffe://cluster.local/ns/shop/sa/checkout';
  const mesh = policy(true, { name: 'mesh', apps: ['spiffe://cluster.local/ns/shop/*'] });

  test('is told by the certificate of the connection', async () => {
    const filter = await connected(mesh);
    expect(status(filter.getState('k'))).toEqual([
      7,
      'app "shop" may not call state GetState: denied by the policy, by default',
    ]);
    filter.host.properties.set('connection.mtls', Buffer.from([1]));
    filter.host.properties.set('connection.uri_san_peer_certificate', Buffer.from(ID));
    expect(filter.getState('k').answer).toBeUndefined();
    filter.host.properties.set(
      'connection.uri_san_peer_certificate',
      Buffer.from('spiffe://cluster.local/ns/x/sa/y'),
    );
    expect(status(filter.getState('k'))).toEqual([
      7,
      'caller "spiffe://cluster.local/ns/x/sa/y" may not call state GetState: denied by the policy, by default',
    ]);
  });

  test('is not told by any header', async () => {
    const filter = await connected(mesh);
    const headers = {
      'x-forwarded-client-cert': `By=a;Hash=b;URI=${ID}`,
      'x-layotto-caller': `remote:${ID}`,
    };
    expect(status(filter.getState('k', headers))[0]).toBe(7);
  });

  test('a caller with a certificate is not the app beside this Envoy, also without a name in it', async () => {
    const filter = await connected(policy(true, { name: 'app', apps: ['shop'] }));
    expect(filter.getState('k').answer).toBeUndefined();
    filter.host.properties.set('connection.mtls', Buffer.from([1]));
    expect(status(filter.getState('k'))[0]).toBe(7);
  });

  test.each(['spiffe://a/b ', 'spiffe://a/\u00fc', 'spiffe://a/b\r\nx: y'])(
    'a name in a certificate that no URI can be is none: %j',
    async (name) => {
      const filter = await connected(policy(false, { name: 'none', deny: true, apps: ['spiffe://c/*'] }));
      filter.host.properties.set('connection.mtls', Buffer.from([1]));
      filter.host.properties.set('connection.uri_san_peer_certificate', Buffer.from(name));
      const stream = filter.host.openStream(filter.root);
      stream.callOnRequestHeaders(grpcHeaders(`${LAYOTTO}/GetFile`), false);
      expect(stream.requestHeaders.get('x-layotto-caller')).toBe('remote:');
    },
  );

  test("in a mesh the app has its workload's identity, and the bridge is told so of streams", async () => {
    const filter = await Filter.configured(
      { components: COMPONENTS, policy: mesh },
      workload('shop', 'checkout'),
    );
    const stream = filter.host.openStream(filter.root);
    stream.callOnRequestHeaders(grpcHeaders(`${LAYOTTO}/GetFile`), false);
    expect(stream.localReplies).toEqual([]);
    expect(stream.requestHeaders.get('x-layotto-caller')).toBe(`own:${ID}`);
  });
});

describe('secrets', () => {
  const rules = policy(
    false,
    {
      name: 'access:vault',
      deny: true,
      ofStore: true,
      primitives: ['secret'],
      components: ['vault'],
      otherSecrets: ['db'],
    },
    { name: 'no-db2', deny: true, secrets: ['db2*'] },
  );

  test("a store's rules are told in the words of Dapr's API", async () => {
    const filter = await connected(rules);
    const words = 'access denied by policy to get "x" from "vault"';
    expect(status(filter.grpc(`${DAPR}/GetSecret`, secret('vault', 'x')))).toEqual([7, words]);
    const http = filter.http('GET', '/v1.0/secrets/vault/x');
    expect(http.answer?.status).toBe(403);
    expect(JSON.parse(String(http.answer?.body))).toEqual({
      errorCode: 'ERR_PERMISSION_DENIED',
      message: words,
    });
    expect(filter.grpc(`${DAPR}/GetSecret`, secret('vault', 'db')).answer).toBeUndefined();
    expect(denials(filter, 'access:vault')).toBe(2);
  });

  test('all of them may be asked for: the bridge leaves out what is denied', async () => {
    const filter = await connected(rules);
    expect(filter.grpc(`${DAPR}/GetBulkSecret`, secret('vault', '')).answer).toBeUndefined();
    // Whose secrets the bridge cannot tell, may have all or none.
    filter.host.properties.set('connection.mtls', Buffer.from([1]));
    const asking = await connected(
      policy(false, { name: 'no-db', deny: true, apps: ['spiffe://a/*'], secrets: ['db'] }),
    );
    asking.host.properties.set('connection.mtls', Buffer.from([1]));
    asking.host.properties.set('connection.uri_san_peer_certificate', Buffer.from('spiffe://a/b'));
    expect(status(asking.grpc(`${DAPR}/GetBulkSecret`, secret('vault', '')))[0]).toBe(7);
  });
});

describe('a configuration', () => {
  test.each([
    [{ policy: null }, '"policy" must be an object'],
    [{ policy: { denies: 'yes' } }, '"policy.denies" must be true or false'],
    [{ policy: { rules: {} } }, '"policy.rules" must be an array of objects'],
    [{ policy: { rules: [{ deny: true }] } }, 'a rule of "policy" needs "name"'],
    [
      { policy: { rules: [{ name: 'a', apps: 'shop' }] } },
      '"policy.rules[].apps" must be an array of strings',
    ],
    [
      { policy: { rules: [{ name: 'a', deny: true, weekdays: ['sunday'] }] } },
      'a rule of "policy" has the key "weekdays", which this module does not know',
    ],
  ])('whose policy is not understood is refused: %j', async (wrong, problem) => {
    await expect(Filter.configured(wrong as never)).rejects.toThrow(
      problem.replaceAll('"', '\\"').slice(0, 20),
    );
  });
});
