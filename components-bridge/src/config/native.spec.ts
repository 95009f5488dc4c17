import { join } from 'node:path';

import { configFolder } from '../../../test/support/config-files.js';
import type { ConfigFolder } from '../../../test/support/config-files.js';

let folder: ConfigFolder;
beforeEach(async () => (folder = await configFolder()));
afterEach(() => folder.remove());

const file = 'layotto.yaml';

async function problemsOf(text: string, env: NodeJS.ProcessEnv = {}): Promise<string[]> {
  await folder.write({ [file]: text });
  return folder.problems({ file, env });
}

describe('the native form', () => {
  it('reads every setting', async () => {
    await folder.write({
      'conf/layotto.yaml': `
app: {id: shop, port: 8080, protocol: grpc}
listen: {host: localhost, port: 35000, unixSocket: ./app.sock, actuator: '[::1]:35001', hosts: [Runtime.local]}
dataDir: ../data
limits: {message: 1MiB, operations: 10, streams: 20, bytes: 8 MiB, cache: 2MiB, deadline: 500ms}
envoy: {concurrency: 1, metricsPort: 0}
modules: {slots: 3, rollbackOnTrap: 5 in 2m}
outbound: [{name: orders, listen: 2046, to: 'orders.example:80'}]
tracing: {otlp: "http://localhost:4318/", sampling: 0.1}
components:
  - name: statestore
    type: state.redis
    version: v2
    metadata: {redishost: "localhost:6379", redisPassword: {env: REDIS_PASSWORD}, redisDB: 03, enableTLS: true}
`,
    });
    const config = await folder.config({ file: 'conf/layotto.yaml', env: { REDIS_PASSWORD: '0123' } });
    expect(config).toEqual({
      source: 'conf/layotto.yaml',
      app: { id: 'shop', port: 8080, protocol: 'grpc' },
      listen: {
        host: '127.0.0.1',
        port: 35000,
        unixSocket: join(folder.path, 'conf/app.sock'),
        actuator: { host: '::1', port: 35001 },
        hosts: ['runtime.local'],
      },
      dataDir: join(folder.path, 'data'),
      limits: {
        messageBytes: 1048576,
        operations: 10,
        streams: 20,
        bytes: 8388608,
        cacheBytes: 2097152,
        deadlineMs: 500,
      },
      envoy: { concurrency: 1, metricsPort: 0 },
      modules: { slots: 3, rollbackOnTrap: { traps: 5, withinMs: 120_000 } },
      outbound: [
        {
          name: 'orders',
          listen: { host: '127.0.0.1', port: 2046 },
          to: { host: 'orders.example', port: 80 },
        },
      ],
      lifecycle: { apply: true },
      tracing: { otlp: 'http://localhost:4318', sampling: 0.1 },
      components: [
        {
          name: 'statestore',
          type: 'state.redis',
          version: 'v2',
          primitive: 'state',
          form: 'native',
          metadata: { redisHost: 'localhost:6379', redisPassword: '0123', redisDB: '03', enableTLS: 'true' },
          origin: { file: 'conf/layotto.yaml', line: 11 },
        },
      ],
    });
  });

  it.each([
    ['an empty file', ''],
    ['comments only', '# nothing\n'],
    ['empty sections', 'app:\nlisten:\n  port:\ncomponents:\n'],
  ])('fills in everything for %s', async (_, text) => {
    await folder.write({ [file]: text });
    const config = await folder.config({ file });
    expect(config.listen).toEqual({ host: '127.0.0.1', port: 34904, hosts: [] });
    expect(config.components.map(({ name, type }) => [name, type])).toEqual([
      ['statestore', 'state.embedded'],
    ]);
  });

  it.each([
    ['', undefined],
    ['tracing:', undefined],
    ['tracing: {}', undefined],
    ['tracing: {otlp: "http://c"}', { otlp: 'http://c:80', sampling: 1 }],
    [
      'tracing: {otlp: "http://[::1]:4318/a/", sampling: "0.5"}',
      { otlp: 'http://[::1]:4318/a', sampling: 0.5 },
    ],
    ['tracing: {otlp: "http://c:4318", sampling: 0}', { otlp: 'http://c:4318', sampling: 0 }],
  ])('reads where traces go from %j', async (text, tracing) => {
    await folder.write({ [file]: text });
    expect((await folder.config({ file })).tracing).toEqual(tracing);
  });

  it('takes an empty list of components at its word', async () => {
    await folder.write({ [file]: 'components: []\n' });
    expect((await folder.config({ file })).components).toEqual([]);
  });

  it('takes names for a mesh, and refuses what Kubernetes would', async () => {
    await folder.write({ [file]: 'mesh: {name: rt, namespace: shop, selector: {tier: "no"}}\n' });
    const { mesh } = await folder.config({ file });
    expect(mesh).toEqual({ name: 'rt', namespace: 'shop', selector: { tier: 'no' } });
    expect(await problemsOf('mesh: {name: Rt, namespace: a.b, selector: {}}\n')).toEqual([
      expect.stringContaining('mesh.name: expected a Kubernetes name'),
      expect.stringContaining('mesh.namespace: expected a Kubernetes namespace'),
      expect.stringContaining('mesh.selector: expected labels of the pods'),
    ]);
  });

  it('reads any setting from the environment', async () => {
    await folder.write({ [file]: 'app: {id: {env: ID}}\nlisten:\n  port: {env: PORT}\n' });
    const config = await folder.config({ file, env: { ID: '42', PORT: '35001' } });
    expect([config.app.id, config.listen.port]).toEqual(['42', 35001]);
  });

  it('never repeats a value of the environment', async () => {
    const env = { PORT: 'hunter2', PASSWORD: 'my hunter2' };
    const text = `listen: {port: {env: PORT}}
components:
  - {name: a, type: state.redis, metadata: {redisHost: x, redisPassword: {env: PASSWORD}}}
`;
    const problems = await problemsOf(text, env);
    expect(problems).toEqual([
      'layotto.yaml:1 listen.port: expected a port from 1 to 65535, found the value of an environment variable',
      'layotto.yaml:3 components[0].metadata.redisPassword: expected a password without spaces, found the value of an environment variable',
    ]);
  });

  it('never repeats what looks like a secret', async () => {
    const text =
      'components: [{name: a, type: state.redis, metadata: {redisHost: x, redisPassword: "my hunter2"}}]\n';
    expect((await problemsOf(text)).join()).not.toContain('hunter2');
  });

  it('reports all problems of a file, each in its line', async () => {
    const text = `ap: {id: x}
app: {id: "a b", port: 70000, protocol: tcp, color: red}
listen:
  host: example.com
  port: "many"
  hosts: [ok, "not ok"]
limits: {message: 3 parsecs, operations: 0, deadline: 15}
envoy: {concurrency: 1.5}
components:
  - name: statestore
    type: state.rediss
  - name: a/b
    type: state.redis
    metadata: {redisHost: {host: x}, redisPasword: x, REDISHOST: y}
  - name: other
    type: state.redis
    metadata:
      redisDB: zero
  - name: other
    type: state.embedded
  - just text
  - {type: pubsub.kafka}
  - {name: x, type: state.redis, metadata: {redisHost: {env: ABSENT}}}
`;
    expect(await problemsOf(text)).toEqual([
      'layotto.yaml:1 ap: unknown key; did you mean "app"?',
      expect.stringMatching(/^layotto\.yaml:2 app\.id: expected an app id: .*, found "a b"$/),
      "layotto.yaml:2 app.port: expected the app's port, from 1 to 65535, or 0 for none, found 70000",
      'layotto.yaml:2 app.protocol: expected http or grpc, found "tcp"',
      'layotto.yaml:2 app.color: unknown key; known: id, port, protocol, group, namespace, tokenFile',
      'layotto.yaml:4 listen.host: expected an IP address to listen on, such as 127.0.0.1, found "example.com"',
      'layotto.yaml:5 listen.port: expected a port from 1 to 65535, found "many"',
      expect.stringMatching(/^layotto\.yaml:6 listen\.hosts: expected a list of host names/),
      'layotto.yaml:7 limits.message: expected a size from 1KiB to 64MiB, such as 4MiB, found "3 parsecs"',
      'layotto.yaml:7 limits.operations: expected a whole number from 1 to 1000000, found 0',
      'layotto.yaml:7 limits.deadline: expected a duration from 1ms to 1h with its unit, such as 15s or 500ms, found 15',
      'layotto.yaml:8 envoy.concurrency: expected a whole number from 1 to 128, found 1.5',
      'layotto.yaml:11 components[0].type: unknown component type "state.rediss"; did you mean "state.redis"?',
      expect.stringMatching(
        /^layotto\.yaml:12 components\[1\]\.name: expected 1 to 128 bytes .*, found "a\/b"$/,
      ),
      'layotto.yaml:14 components[1].metadata.redisHost: expected text, a number, true or false, found a map',
      expect.stringMatching(
        /^layotto\.yaml:14 components\[1\]\.metadata\.REDISHOST: given twice, first in line 14/,
      ),
      'layotto.yaml:14 components[1].metadata.redisPasword: unknown metadata key of state.redis; did you mean "redisPassword"?',
      'layotto.yaml:15 components[2].metadata.redisHost: expected the address of Redis, such as localhost:6379, found nothing',
      'layotto.yaml:18 components[2].metadata.redisDB: expected a number from 0 to 15, found "zero"',
      expect.stringMatching(
        /^layotto\.yaml:19 components\[3\]: the name "other" is taken by .* layotto\.yaml:15; /,
      ),
      'layotto.yaml:21 components[4]: expected a map, found "just text"',
      'layotto.yaml:22 components[5].name: expected a name (text), found nothing',
      'layotto.yaml:22 components[5].type: unknown component type "pubsub.kafka"; known: state.redis, state.embedded',
      'layotto.yaml:23 components[6].metadata.redisHost: expected the environment variable ABSENT to be set; set it or write the value here',
    ]);
  });

  it.each([
    ['[1, 2]', 'layotto.yaml:1 : expected a map, found a list'],
    ['hello', 'layotto.yaml:1 : expected a map, found "hello"'],
    ['app: 3', 'layotto.yaml:1 app: expected a map, found 3'],
    ['\ncomponents: {a: b}', 'layotto.yaml:2 components: expected a list, found a map'],
    ['dataDir: 7', 'layotto.yaml:1 dataDir: expected text (quote it if it looks like a number), found 7'],
    ['a: 1\n---\nb: 2', 'layotto.yaml:3 : expected one document, found a second; keep one per file'],
    ['tracing: {sampling: 1}', 'layotto.yaml:1 tracing.otlp: expected the address of a collector'],
    [
      'tracing: {otlp: "http://c", sampling: 1.5}',
      'layotto.yaml:1 tracing.sampling: expected a number from 0 (no new traces) to 1 (all), found 1.5',
    ],
    ...['https://c:4318', 'c:4318', 'http://u:p@c', 'http://c?a', 'http://c:4318/v1/traces', '""'].map(
      (otlp) => [
        `tracing: {otlp: ${JSON.stringify(otlp)}}`,
        "layotto.yaml:1 tracing.otlp: expected a collector's address as http://HOST:PORT",
      ],
    ),
    [
      'listen: {actuator: "localhost:34904"}',
      'layotto.yaml:1 listen.actuator: expected a port of its own, found 34904, which listen.port uses',
    ],
    [
      'listen: {actuator: 34903}',
      'layotto.yaml:1 listen.actuator: expected a port of its own, found 34903, which envoy.metricsPort uses',
    ],
    ['listen: {port: 34903}', 'layotto.yaml:1 envoy.metricsPort: expected a port of its own, found 34903'],
    ['app: {port: 34904}', "layotto.yaml:1 app.port: expected the app's own port, found 34904"],
    [
      'limits: {bytes: 1MiB}',
      'layotto.yaml:1 limits.bytes: expected at least limits.message (4194304 bytes)',
    ],
    [
      'components:\n- {name: a, type: state.embedded}\n- {name: a, type: state.embedded}',
      'layotto.yaml:3 components[1]: the name "a" is taken by the component at layotto.yaml:2',
    ],
    [
      'app: {id: a}\napp: {id: b}',
      'layotto.yaml:2 : cannot be read as YAML or JSON: Map keys must be unique',
    ],
    ['app: {id: [}', 'layotto.yaml:1 : cannot be read as YAML or JSON: '],
    ['app: *nowhere', 'layotto.yaml:1 : there is no anchor for the alias *nowhere'],
    ['? {a: b}\n: c', 'layotto.yaml:1 : expected a plain word as key, found a map or a list'],
    [
      'apiVersion: dapr.io/v1alpha1\nkind: Component',
      'layotto.yaml:2 kind: a Dapr resource, not a configuration file',
    ],
    [
      'components: [{name: a, type: state.redis}]',
      'layotto.yaml:1 components[0].metadata.redisHost: expected the address',
    ],
    [
      'components:\n- name: a\n  type: state.embedded\n  metadata:\n    path: {a: b}',
      'layotto.yaml:5 components[0].metadata.path: expected text, a number, true or false, found a map',
    ],
    [
      'components:\n- name: a\n  type: state.redis\n  metadata:\n    redisHost: x\n    RedisHost: y',
      'layotto.yaml:6 components[0].metadata.RedisHost: given twice, first in line 5',
    ],
    [
      'components:\n- name: a\n  type: state.redis\n  metadata:\n    redisHost: x\n    redisDb_: 1',
      'layotto.yaml:6 components[0].metadata.redisDb_: unknown metadata key of state.redis; did you mean "redisDB"?',
    ],
    [
      'listen:\n  port: {env: NOPE}',
      'layotto.yaml:2 listen.port: expected the environment variable NOPE to be set',
    ],
  ])('explains what is wrong with %j', async (text, expected) => {
    const problems = await problemsOf(text);
    expect(problems).toHaveLength(1);
    expect(problems[0]?.slice(0, expected.length)).toBe(expected);
  });

  it('refuses socket paths that the kernel would not take', async () => {
    const problems = await problemsOf(
      `listen: {unixSocket: ${'s'.repeat(108)}}\ndataDir: ${'d'.repeat(100)}\n`,
    );
    expect(problems).toEqual([
      expect.stringMatching(
        /^layotto\.yaml:1 listen\.unixSocket: expected a socket path of at most 107 bytes, found 1\d\d: /,
      ),
      expect.stringMatching(
        /^layotto\.yaml:2 dataDir: expected a socket path .* choose a data folder with a shorter path$/,
      ),
    ]);
  });

  it('treats __proto__ as any other key', async () => {
    const problems = await problemsOf('__proto__: {app: {id: evil}}\n');
    expect(problems).toEqual([expect.stringMatching(/^layotto\.yaml:1 __proto__: unknown key; /)]);
  });
});
