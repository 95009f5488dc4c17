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
    inventory: [{ host: '127.0.0.1', port: 8081 }],
    billing: [
      { host: '::1', port: 80 },
      { host: 'billing.example', port: 8080 },
    ],
  });
  expect(notices).toEqual([]);
});

it('are none unless they are named', async () => {
  await folder.write({ [file]: 'app: {id: shop}\n' });
  const config = await folder.config({ file });
  expect([config.listen.proxy, config.callees]).toEqual([undefined, undefined]);
});

const MAP = 'layotto.yaml:2 callees: expected a map of 1 to 200 host names to addresses';

it.each([
  [
    'listen: {proxy: "0.0.0.0:15001"}\n',
    'layotto.yaml:1 listen.proxy: expected a port, or an address of loopback and a port',
  ],
  [
    'listen: {proxy: 34904}\n',
    'listen.proxy: expected a port of its own, found 34904, which listen.port uses',
  ],
  ['\ncallees: {a: "b:1"}\n', 'callees: expected listen.proxy, the address through which the app calls them'],
  ['listen: {proxy: 15001}\ncallees: {other: "b:1"}\n', MAP],
  ['listen: {proxy: 15001}\ncallees: {localhost: "b:1"}\n', MAP],
  ['listen: {proxy: 15001}\ncallees: {a: b}\n', MAP],
  ['listen: {proxy: 15001}\ncallees: {a: []}\n', MAP],
  ['listen: {proxy: 15001}\ncallees: {a: "b:1", A: "b:2"}\n', MAP],
  ['listen: {proxy: 15001}\ncallees: {"a/b": "b:1"}\n', MAP],
  ['listen: {proxy: 15001}\ncallees: {}\n', MAP],
])('that are wrong are told: %s', async (text, problem) => {
  expect(await problemsOf(text)).toContain(problem);
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
