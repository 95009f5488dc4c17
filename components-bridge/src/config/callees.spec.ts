import { configFolder } from '../../../test/support/config-files.js';
import type { ConfigFolder } from '../../../test/support/config-files.js';

let folder: ConfigFolder;
beforeEach(async () => (folder = await configFolder()));
afterEach(() => folder.remove());

const file = 'layotto.yaml';

async function problemsOf(text: string): Promise<string> {
  await folder.write({ [file]: text });
  return (await folder.problems({ file })).join('\n');
}

it('are read, with the address through which they are called', async () => {
  await folder.write({
    [file]: `
listen: {proxy: 15001}
callees:
  Inventory: 127.0.0.1:8081
  billing: ["[::1]:80", billing.example:8080]
policy:
  rules: [{name: a, deny: {primitives: [http], operations: [DELETE], components: [inventory, other, a.shop.svc]}}]
`,
  });
  const { config, notices } = (await folder.load({ file })) as {
    config: Awaited<ReturnType<ConfigFolder['config']>>;
    notices: unknown[];
  };
  expect(config.listen.proxy).toEqual({ host: '127.0.0.1', port: 15001 });
  expect(config.callees).toEqual({
    inventory: { to: [{ host: '127.0.0.1', port: 8081 }] },
    billing: {
      to: [
        { host: '::1', port: 80 },
        { host: 'billing.example', port: 8080 },
      ],
    },
  });
  expect(notices).toEqual([]);
});

it('say what they speak, how long a call may take, and where calls go', async () => {
  await folder.write({
    [file]: `
app: {port: 8080}
listen: {inbound: "0.0.0.0:34905"}
callees:
  orders:
    protocol: http2
    timeout: 5s
    retries: 0
    routes:
      - {headers: {X-Beta: "1"}, to: a:1}
      - {weight: 90, to: a:2}
      - {weight: 10, to: [a:3, a:4]}
    mirror: {to: rec:9}
invoke:
  pattern: outbound|{port}||{app}.{namespace}.svc.cluster.local
  port: 8080
`,
  });
  const config = await folder.config({ file });
  const at = (port: number, host = 'a') => ({ host, port });
  expect(config.callees?.['orders']).toEqual({
    to: [],
    protocol: 'http2',
    timeoutMs: 5000,
    retries: 0,
    routes: [
      { headers: { 'x-beta': '1' }, to: [at(1)] },
      { weight: 90, to: [at(2)] },
      { weight: 10, to: [at(3), at(4)] },
    ],
    mirror: { to: [at(9, 'rec')], percent: 100 },
  });
  expect(config.invoke).toEqual({
    pattern: { kind: 'cluster', text: 'outbound|{port}||{app}.{namespace}.svc.cluster.local' },
    port: 8080,
  });
  expect(config.listen.inbound).toEqual({ host: '0.0.0.0', port: 34905 });
});

it('are none unless they are named', async () => {
  await folder.write({ [file]: 'app: {id: shop}\n' });
  const config = await folder.config({ file });
  expect([config.listen.proxy, config.callees]).toEqual([undefined, undefined]);
});

const NAME = 'expected a host name such as inventory, not other, none, unknown or localhost, found';

it.each([
  [
    'listen: {proxy: "0.0.0.0:15001"}\n',
    'layotto.yaml:1 listen.proxy: expected a port, or an address of loopback and a port',
  ],
  [
    'listen: {proxy: 34904}\n',
    'listen.proxy: expected a port of its own, found 34904, which listen.port uses',
  ],
  ['listen: {proxy: 15001}\ncallees: {other: "b:1"}\n', `layotto.yaml:2 callees.other: ${NAME} "other"`],
  ['listen: {proxy: 15001}\ncallees: {localhost: "b:1"}\n', `callees.localhost: ${NAME} "localhost"`],
  ['\ncallees: {a: b}\n', 'layotto.yaml:2 callees.a: expected HOST:PORT'],
  ['callees: {a: []}\n', 'callees.a: expected HOST:PORT'],
  ['callees: {a: {}}\n', 'callees.a.to: expected HOST:PORT'],
  ['callees: {a: {to: "b:1", tries: 2}}\n', 'callees.a.tries: unknown key'],
  ['callees: {a: {to: "b:1", retries: 11}}\n', 'callees.a.retries: expected a whole number from 0 to 10'],
  ['callees: {a: {to: "b:1", timeout: 5}}\n', 'callees.a.timeout: expected a duration from 1ms to 1h'],
  ['callees: {a: {to: "b:1", protocol: dubbo}}\n', 'callees.a.protocol: expected http, http2 or grpc'],
  ['callees: {a: {routes: []}}\n', 'callees.a.routes: expected a list of 1 to 20 routes'],
  [
    'callees: {a: {to: "b:1", routes: [{to: "b:2"}]}}\n',
    'callees.a.routes[0]: expected either headers or weight',
  ],
  [
    'callees: {a: {to: "b:1", routes: [{to: "b:2", headers: {":path": x}}]}}\n',
    'callees.a.routes[0].headers: expected a map of names of headers to texts',
  ],
  [
    'callees: {a: {to: "b:1", routes: [{to: "b:2", weight: 1}]}}\n',
    'callees.a.to: expected no address beside routes with a weight',
  ],
  [
    'callees: {a: {routes: [{to: "b:1", weight: 0}, {to: "b:2", weight: 0}]}}\n',
    'callees.a.routes: expected a weight above 0',
  ],
  ['callees: {a: {to: "b:1", mirror: {percent: 5}}}\n', 'callees.a.mirror.to: expected HOST:PORT'],
  [
    'callees: {a: {to: "b:1", mirror: {to: "b:2", percent: 101}}}\n',
    'callees.a.mirror.percent: expected a whole',
  ],
  ['invoke: {pattern: "x.internal:80"}\n', 'invoke.pattern: expected a cluster such as outbound|'],
  ['invoke: {pattern: "{app}.{zone}:80"}\n', 'invoke.pattern: expected a cluster such as outbound|'],
  ['invoke: {pattern: "{app}.internal"}\n', 'invoke.pattern: expected a cluster such as outbound|'],
  [
    'listen: {proxy: 15001, inbound: "0.0.0.0:15001"}\n',
    'listen.inbound: expected a port of its own, found 15001, which listen.proxy uses',
  ],
  ['listen: {proxy: 15001}\ncallees: {a: "b:1", A: "b:2"}\n', 'callees.A: expected a name of its own'],
  ['listen: {proxy: 15001}\ncallees: {"a/b": "b:1"}\n', `callees.a/b: ${NAME} "a/b"`],
  [
    'listen: {proxy: 15001}\ncallees: {}\n',
    'layotto.yaml:2 callees: expected a map of 1 to 200 host names to addresses',
  ],
])('that are wrong are told: %s', async (text, problem) => {
  expect(await problemsOf(text)).toContain(problem);
});

it('are told whole, what is known of one with a key that nobody knows too', async () => {
  const wrong = await problemsOf(`
callees:
  none: {protocol: dubbo, to: "b:1"}
  a: {retris: 2, protocol: dubbo, to: "b:1"}
  b: {to: "b:1", routes: [{heades: {}, headers: {}, to: c}]}
  c: {routes: [{weight: 1, to: c}], mirror: {percnt: 1, percent: 101, to: "b:1"}}
`);
  expect(wrong.match(/^\S+ [^:]+(?=: )/gm)).toEqual([
    'layotto.yaml:3 callees.none',
    'layotto.yaml:3 callees.none.protocol',
    'layotto.yaml:4 callees.a.retris',
    'layotto.yaml:4 callees.a.protocol',
    'layotto.yaml:5 callees.b.routes[0].heades',
    'layotto.yaml:5 callees.b.routes[0].to',
    'layotto.yaml:5 callees.b.routes[0].headers',
    'layotto.yaml:6 callees.c.routes[0].to',
    'layotto.yaml:6 callees.c.mirror.percnt',
    'layotto.yaml:6 callees.c.mirror.percent',
  ]);
});

it('are what rules about plain calls may name', async () => {
  await folder.write({
    [file]:
      'listen: {proxy: 15001}\ncallees: {inventory: "b:1"}\npolicy: {rules: [{name: a, deny: {primitives: [http], components: [inventry]}}]}\n',
  });
  const { notices } = await folder.load({ file });
  expect(notices.map(({ message }) => message)).toEqual([
    'the rule "a" names "inventry"; did you mean "inventory"?',
  ]);
  expect(
    await problemsOf('policy: {rules: [{name: a, deny: {primitives: [http], operations: [GETT]}}]}\n'),
  ).toContain('there is no operation "GETT" of http; did you mean "GET"?');
});
