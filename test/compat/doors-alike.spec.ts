import { fromBinary, toBinary, toJson, create } from '@bufbuild/protobuf';
import type { DescMessage } from '@bufbuild/protobuf';
import { readFile } from 'node:fs/promises';

import { NOT_PROTOBUF } from '../../components-bridge/src/doors/method.js';
import { UNSERVED } from '../../components-bridge/src/doors/unserved.js';
import { DAPR, LAYOTTO } from '../support/doors.js';
import { grpcFrame, type RawAnswer, type RawClient, type RawRequest } from '../support/grpc-raw.js';
import { TestHttpServer } from '../support/http-server.js';
import { GRPC_SERVERS, Runtime, type RuntimeOptions, type TestComponent } from '../support/runtime.js';
import { startStore, type StoreServer } from '../support/store-servers.js';
import { Random } from '../wire/random.js';
import { METHODS, oddBytes, requestOf, type ComparedMethod } from './door-requests.js';

const PREFIX = 'DOORS_ALIKE_';
const LIMIT = 64 * 1024;
const NO_SCOPES = { allowed: [], protected: [], publishing: {}, subscription: {} };
/** Requests of each run, besides those that are written down. */
const REQUESTS = 1_500;

/** What a caller sees of an answer. */
interface Seen {
  code: number;
  message: string;
  details: unknown;
  answer: unknown;
  headers: Record<string, string>;
}

/** The filter and the bridge itself, each with stores of its own in the same state, asked the same. */
class Pair {
  private constructor(
    private readonly stop_: () => Promise<void>,
    private readonly clients: readonly [RawClient, RawClient],
  ) {}

  static async start(
    components: (server: StoreServer) => TestComponent[],
    more: RuntimeOptions = {},
  ): Promise<Pair> {
    const stores = await Promise.all(GRPC_SERVERS.map(() => startStore('redis')));
    const runtimes: Runtime[] = [];
    const clients: RawClient[] = [];
    for (const [index, [, portOf]] of GRPC_SERVERS.entries()) {
      const store = stores[index];
      if (store === undefined) throw new Error('a store is missing');
      const runtime = await Runtime.start({
        appId: 'alike',
        listen: true,
        hosts: ['runtime.internal'],
        limits: { messageBytes: LIMIT },
        components: components(store),
        ...more,
      });
      runtimes.push(runtime);
      clients.push(await runtime.connect({ port: portOf(runtime) }));
    }
    const stop = async (): Promise<void> => {
      await Promise.all(runtimes.map((runtime) => runtime.stop()));
      await Promise.all(stores.map((store) => store.stop()));
    };
    return new Pair(stop, clients as [RawClient, RawClient]);
  }

  /** Sends a request to both. @returns what each answered, as far as callers see it */
  async ask(request: RawRequest, output?: DescMessage): Promise<[Seen, Seen]> {
    const answers = await Promise.all(this.clients.map((client) => client.send(request)));
    const [filter, bridge] = answers.map((answer) => seen(answer, output)) as [Seen, Seen];
    // Envoy sends a space at the end of a text as it is, and then Node's client drops the header.
    if (filter.code !== 0 && filter.message === '' && bridge.message.endsWith(' '))
      filter.message = bridge.message;
    return [filter, bridge];
  }

  async stop(): Promise<void> {
    await this.stop_();
  }
}

/** Headers of an answer that say something to callers. */
const TELLING = /^(metadata\.|layotto-|grpc-accept-encoding$)/;

function seen(answer: RawAnswer, output?: DescMessage): Seen {
  const { grpcStatus, grpcMessage, details, messages } = answer;
  const headers = Object.entries(answer.headers)
    // Streams are grpc-js's at the bridge behind the filter, which takes compressed messages.
    .filter(([name, value]) => TELLING.test(name) && value !== 'identity,deflate,gzip')
    // A token is a time, to begin with.
    .map(([name, value]) => [name, UNLIKE.has(name) ? value.replace(/[^,]+/g, '…') : value]);
  return {
    code: grpcStatus,
    message: grpcMessage,
    details: (details?.details ?? []).map(({ typeUrl, value }) => [
      typeUrl,
      Buffer.from(value).toString('hex'),
    ]),
    answer: messages.map((message) => {
      if (output === undefined) return message.toString('hex');
      return JSON.stringify(sorted(toJson(output, fromBinary(output, message)))).replace(UNSTEADY, '…');
    }),
    headers: Object.fromEntries(headers) as Record<string, string>,
  };
}

/** Headers with names and numbers that each store gives by itself. */
const UNLIKE = new Set(['layotto-fencing-token', 'layotto-message-id']);

/** Times, ids, and what names the process. */
const UNSTEADY = /(?<="messageId":")[^"]+|(?<="lastModified":")[^"]+|(?<="[Dd]ate":")[^"]+/g;

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(entries.map(([name, member]) => [name, sorted(member)]));
}

describe('the bridge answers as the filter does', () => {
  let pair: Pair;
  let http: TestHttpServer;

  beforeAll(async () => {
    http = await TestHttpServer.start();
    const to = [{ host: '127.0.0.1', port: 1 }];
    process.env[`${PREFIX}a`] = 'hush';
    process.env[`${PREFIX}denied`] = 'no';
    pair = await Pair.start(
      ({ port }): TestComponent[] => [
        { name: 'statestore', type: 'state.redis', metadata: { redisHost: `127.0.0.1:${port}` } },
        { name: 'embedded', type: 'state.embedded' },
        { name: 'configs', type: 'configuration.redis', metadata: { redisHost: `127.0.0.1:${port}` } },
        { name: 'lockstore', type: 'lock.embedded' },
        { name: 'sequencer', type: 'sequencer.embedded' },
        {
          name: 'secretstore',
          type: 'secretstores.local.env',
          metadata: { prefix: PREFIX },
          access: { default: 'allow', allowed: [], denied: ['denied'] },
        },
        { name: 'out', type: 'bindings.http', metadata: { url: http.url } },
        {
          name: 'events',
          type: 'pubsub.embedded',
          topicScopes: { ...NO_SCOPES, publishing: { alike: ['t'] } },
        },
        { name: 'local', type: 'file.local' },
        { name: 'helloworld', type: 'hello.helloworld', metadata: { hello: 'greeting' } },
      ],
      { callees: { app: { to }, web: { to, endpoint: { authority: 'web', path: '', headers: {} } } } },
    );
  }, 120_000);

  afterAll(async () => {
    for (const name of ['a', 'denied']) delete process.env[PREFIX + name];
    await pair?.stop();
    await http?.stop();
  });

  test('random requests of every method', async () => {
    const random = Random.announced('doors-alike');
    const codes = new Map<string, Set<number>>();
    const ask = (method: (typeof METHODS)[number]): Promise<void> =>
      same(method, toBinary(method.input, create(method.input, requestOf(method, random))), codes);
    const isRefused = ({ path }: { path: string }): boolean => codes.get(path)?.has(0) !== true;
    for (let i = 0; i < REQUESTS; i++) await ask(random.pick(METHODS));
    // Methods that were only ever refused have not been compared; chance makes few requests that some take.
    for (const method of METHODS)
      for (let more = 0; more < REQUESTS && isRefused(method); more++) await ask(method);
    expect(METHODS.filter(isRefused).map(({ path }) => path)).toEqual([]);
  }, 180_000);

  test('bytes that are no messages, or nearly none', async () => {
    const random = Random.announced('doors-alike, bytes');
    for (const method of METHODS) {
      for (let i = 0; i < 12; i++) await same(method, oddBytes(method, random), new Map(), true);
    }
  }, 120_000);

  async function same(
    method: ComparedMethod,
    body: Uint8Array,
    codes: Map<string, Set<number>>,
    odd = false,
  ): Promise<void> {
    const { path, output } = method;
    const [filter, bridge] = await pair.ask({ path, body: [grpcFrame(body)] }, output);
    // The filter passes over a known field with another wire type; see decision 46.
    if (odd && bridge.message === NOT_PROTOBUF) return;
    const asked = { path, body: Buffer.from(body).toString('hex').slice(0, 2_000) };
    expect({ ...asked, ...bridge }).toEqual({ ...asked, ...filter });
    const known = codes.get(path) ?? new Set();
    codes.set(path, known.add(filter.code));
  }

  const get = grpcFrame(Buffer.from('0a0a737461746573746f7265120161', 'hex'));
  test.each<[string, Partial<RawRequest>]>([
    ['no message', { body: [] }],
    ['two messages', { body: [get, get] }],
    ['a message that is cut off', { body: [get.subarray(0, -1)] }],
    ['a prefix that is cut off', { body: [get.subarray(0, 3)] }],
    ['a flag that is none', { body: [grpcFrame(get, 7)] }],
    ['a compressed message', { body: [grpcFrame(get, 1)] }],
    ['a message over the limit', { body: [grpcFrame(Buffer.alloc(LIMIT + 1))] }],
    ['a message in pieces', { body: [get.subarray(0, 2), 20, get.subarray(2)] }],
    ['trailers after the message', { body: [get], trailers: { 'x-checksum': 'none' } }],
    ['a page in a browser', { body: [get], headers: { origin: 'http://evil.example' } }],
    ['a foreign host', { body: [get], headers: { ':authority': 'evil.example' } }],
    ['an allowed host', { body: [get], headers: { ':authority': 'Runtime.Internal:80' } }],
    ['a query', { body: [get], path: `${LAYOTTO}/GetState?a=b` }],
    ['another content type', { body: [get], headers: { 'content-type': 'application/grpc+proto' } }],
    ['a method with another case', { body: [get], path: `${DAPR}/getState` }],
    ['an unknown service', { body: [get], path: '/a.b.C/D' }],
    ['a very long path', { body: [get], path: `/${'é%C3'.repeat(200)}`.replaceAll('é', 'e') }],
  ])('%s', async (_, request) => {
    const [filter, bridge] = await pair.ask({ path: `${LAYOTTO}/GetState`, ...request });
    expect(bridge).toEqual(filter);
  });

  test('what is not served', async () => {
    for (const [start] of UNSERVED) {
      for (const path of [start, `${start}Alpha1`]) {
        // Envoy takes calls to other apps there; the bridge has no way to them.
        if (path.endsWith('/InvokeService')) continue;
        const [filter, bridge] = await pair.ask({ path, body: [get] });
        expect([path, filter.code]).toEqual([path, 12]);
        expect([path, bridge]).toEqual([path, filter]);
      }
    }
  });

  test('a deadline that passes', async () => {
    const method = METHODS.find(({ path }) => path === `${DAPR}/InvokeBinding`) as ComparedMethod;
    const message = create(method.input, { name: 'out', operation: 'get', metadata: { path: 'never' } });
    const body = [grpcFrame(toBinary(method.input, message))];
    const request = { path: method.path, headers: { 'grpc-timeout': '300m' }, body };
    const [filter, bridge] = await pair.ask(request);
    expect([filter.code, bridge.code]).toEqual([4, 4]);
    // The binding looks at the deadline, too, and either may be first.
    const late = /^downstream duration timeout$|the deadline passed before the answer came$/;
    expect(filter.message).toMatch(late);
    expect(bridge.message).toMatch(late);
  });
});

test('what is not served is listed as the filter lists it', async () => {
  const source = await readFile(new URL('../../assembly/dialects/unserved.ts', import.meta.url), 'utf8');
  const constants: Record<string, string> = {};
  for (const [, name = '', value = ''] of source.matchAll(/^const (\w+) = '([^']*)';$/gm))
    constants[name] = value;
  const entries = [...source.matchAll(/new Unserved\((\w+) \+ '([^']*)', '([^']*)'\)/g)];
  const listed = entries.map(([, of = '', start = '', what]) => [`${constants[of]}${start}`, what]);
  expect(UNSERVED).toEqual(listed);
});

test('a runtime without components, and with a token, refuses alike', async () => {
  const pair = await Pair.start(() => [], { apiToken: 'secret-token' });
  try {
    for (const { path, input, output } of METHODS) {
      const body = [
        grpcFrame(toBinary(input, create(input, requestOf({ path, input, output }, new Random(1))))),
      ];
      const noToken: Record<string, string> = {};
      for (const headers of [noToken, { 'dapr-api-token': 'wrong' }, { 'dapr-api-token': 'secret-token' }]) {
        const [filter, bridge] = await pair.ask({ path, headers, body }, output);
        expect([path, headers, bridge]).toEqual([path, headers, filter]);
        expect([path, headers, filter.code === 16]).toEqual([
          path,
          headers,
          headers['dapr-api-token'] !== 'secret-token',
        ]);
      }
    }
  } finally {
    await pair.stop();
  }
}, 120_000);

test('a policy denies alike', async () => {
  const nothing = { primitives: [], operations: [], components: [], secrets: [], topics: [], apps: [] };
  const deny = { ...nothing, effect: 'deny' } as const;
  const pair = await Pair.start(
    ({ port }): TestComponent[] => [
      { name: 'statestore', type: 'state.redis', metadata: { redisHost: `127.0.0.1:${port}` } },
      { name: 'secretstore', type: 'secretstores.local.env', metadata: { prefix: PREFIX } },
      { name: 'lockstore', type: 'lock.embedded' },
      { name: 'local', type: 'file.local' },
      { name: 'helloworld', type: 'hello.helloworld' },
    ],
    {
      policy: {
        default: 'deny',
        trustDomain: 'cluster.local',
        limits: [],
        rules: [
          {
            ...nothing,
            name: 'most',
            effect: 'allow',
            primitives: ['state', 'secret', 'lock', 'metadata', 'file'],
          },
          { ...deny, name: 'no-deleting', operations: ['DeleteState', 'DelFile', 'GetFile'] },
          { ...deny, name: 'not-this-store', primitives: ['state'], components: ['nop*'] },
          { ...deny, name: 'not-this-secret', secrets: ['a'] },
          { ...deny, name: 'no-setting', operations: ['SetMetadata'] },
        ],
      },
    },
  );
  try {
    const random = Random.announced('doors-alike, policy');
    const denied = new Set<string>();
    for (let i = 0; i < 400; i++) {
      const { path, input, output } = random.pick(METHODS);
      const body = toBinary(input, create(input, requestOf({ path, input, output }, random)));
      const [filter, bridge] = await pair.ask({ path, body: [grpcFrame(body)] }, output);
      expect([path, Buffer.from(body).toString('hex'), bridge]).toEqual([
        path,
        Buffer.from(body).toString('hex'),
        filter,
      ]);
      const rule = /denied by the policy, (.+)$/.exec(filter.message)?.[1];
      if (filter.code === 7 && rule !== undefined) denied.add(rule);
    }
    expect([...denied].sort()).toEqual([
      'by default',
      'rule "no-deleting"',
      'rule "no-setting"',
      'rule "not-this-secret"',
      'rule "not-this-store"',
    ]);
  } finally {
    await pair.stop();
  }
}, 120_000);
