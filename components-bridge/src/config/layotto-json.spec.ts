import { join } from 'node:path';

import { configFolder } from '../../../test/support/config-files.js';
import type { ConfigFolder } from '../../../test/support/config-files.js';

let folder: ConfigFolder;
beforeEach(async () => (folder = await configFolder()));
afterEach(() => folder.remove());

const file = 'config.json';

/** A whole file, as Layotto's own examples have it. */
function mosn(grpcConfig: unknown, listener: object = {}): string {
  const config = {
    servers: [
      {
        default_log_path: 'stdout',
        listeners: [
          {
            name: 'grpc',
            address: '127.0.0.1:35010',
            bind_port: true,
            filter_chains: [
              { filters: [{ type: 'grpc', config: { server_name: 'runtime', grpc_config: grpcConfig } }] },
            ],
            ...listener,
          },
          { name: 'actuator', address: '127.0.0.1:34999', stream_filters: [{ type: 'actuator_filter' }] },
        ],
      },
    ],
    metrics: { sinks: [{ type: 'prometheus', config: { port: 35011 } }] },
    tracing: { enable: false },
  };
  return JSON.stringify(config, null, 2);
}

const state = {
  state_demo: { type: 'redis', metadata: { redisHost: 'localhost:6380', redisPassword: '', redisDB: 2 } },
};

describe("Layotto's JSON", () => {
  it('reads a whole file', async () => {
    const app = { app_id: 'app1', grpc_callback_port: 9999, grpc_callback_host: '127.0.0.1' };
    const lock = { lock_demo: { type: 'redis', metadata: {} } };
    await folder.write({ [file]: mosn({ app, state, lock }) });
    const result = await folder.load({ file });
    expect(result).toMatchObject({
      config: {
        source: file,
        app: { id: 'app1', port: 9999, protocol: 'grpc' },
        listen: { host: '127.0.0.1', port: 35010, actuator: { host: '127.0.0.1', port: 34999 } },
        envoy: { metricsPort: 35011 },
        components: [
          {
            name: 'state_demo',
            type: 'state.redis',
            primitive: 'state',
            form: 'layotto',
            version: 'v1',
            metadata: { redisHost: 'localhost:6380', redisPassword: '', redisDB: '2' },
            origin: { file, line: 24 },
          },
        ],
      },
    });
    expect(
      result.notices.map(
        ({ line, key, message }) => `${line} ${key.replace(/^.*grpc_config/, '…')}: ${message}`,
      ),
    ).toEqual([
      expect.stringMatching(/^\d+ tracing: MOSN's own setting/),
      '33 ….lock: not served by this version; left out: lock_demo',
    ]);
  });

  it.each([
    ['grpc_config', { grpc_config: { state } }],
    ['its content', { app: { app_id: 'x' }, state }],
  ])('reads a bare object with %s', async (_, content) => {
    await folder.write({ [file]: JSON.stringify(content) });
    expect((await folder.config({ file })).components.map(({ name }) => name)).toEqual(['state_demo']);
  });

  it.each([
    ['http', {}, 'its listener is not used; who may be invoked stands in the callees of layotto.yaml'],
    [
      'dubbo',
      { channel: 'dubbo' },
      'the dubbo channel is not served by this version: InvokeService is unimplemented',
    ],
    [
      'bolt',
      { channel: 'bolt' },
      'the bolt channel is not served by this version: InvokeService is unimplemented',
    ],
  ])('takes the channel of InvokeService from rpcs: %s', async (protocol, invoke, notice) => {
    const channel = [{ size: 16, protocol, listener: 'egress' }];
    await folder.write({
      [file]: JSON.stringify({ grpc_config: { rpcs: { mosn: { config: { channel } } } } }),
    });
    const result = await folder.load({ file });
    expect(result).toMatchObject({ config: { invoke } });
    expect(result.notices.map(({ key, message }) => `${key}: ${message}`)).toEqual([
      `grpc_config.rpcs.mosn.config.channel[0]: ${notice}`,
    ]);
  });

  it('refuses a channel of InvokeService that there is not, and leaves out what is no channel of MOSN', async () => {
    const mosn = { config: { channel: [{ protocol: 'carrier-pigeon' }] } };
    await folder.write({ [file]: JSON.stringify({ grpc_config: { rpcs: { mosn, other: {} } } }) });
    const result = await folder.load({ file });
    expect(result).toMatchObject({
      problems: [
        {
          key: 'grpc_config.rpcs.mosn.config.channel[0].protocol',
          message: 'expected http, dubbo, bolt, found "carrier-pigeon"',
        },
      ],
      notices: [{ key: 'grpc_config.rpcs', message: 'not served by this version; left out: other' }],
    });
  });

  it('maps in-memory to the embedded store, and adds no store of its own', async () => {
    await folder.write({ [file]: JSON.stringify({ state: { s: { type: 'in-memory', metadata: {} } } }) });
    expect((await folder.config({ file })).components.map(({ type }) => type)).toEqual(['state.embedded']);
    await folder.write({ [file]: JSON.stringify({ grpc_config: { app: {} } }) });
    expect((await folder.config({ file })).components).toEqual([]);
  });

  it('listens on a Unix socket', async () => {
    await folder.write({ [file]: mosn({}, { network: 'unix', address: 'client-proxy.sock' }) });
    expect((await folder.config({ file })).listen).toEqual({
      host: '127.0.0.1',
      port: 34904,
      unixSocket: join(folder.path, 'client-proxy.sock'),
      actuator: { host: '127.0.0.1', port: 34999 },
      hosts: [],
    });
  });

  it.each([
    [':35012', '0.0.0.0', 35012],
    ['[::1]:35012', '::1', 35012],
    ['localhost:35012', '127.0.0.1', 35012],
  ])('understands the address %s', async (address, host, port) => {
    await folder.write({ [file]: mosn({}, { address }) });
    expect((await folder.config({ file })).listen).toMatchObject({ host, port });
  });

  it('leaves out, with a notice, what this version does not serve', async () => {
    const content = {
      grpc_config: {
        files: {},
        hellos: { helloworld: { type: 'helloworld' } },
        state: {
          s: { type: 'mongodb', metadata: { host: 'x' } },
          t: {
            type: 'redis',
            component_ref: { secret_store: 'x' },
            metadata: { redisHost: 'x', poolSize: '3' },
          },
        },
      },
    };
    await folder.write({ [file]: JSON.stringify(content, null, 1) });
    const result = await folder.load({ file });
    expect(result).toMatchObject({ config: { components: [{ name: 't', metadata: { redisHost: 'x' } }] } });
    expect(result.notices.map(({ line, key, message }) => `${line} ${key}: ${message}`)).toEqual([
      '3 grpc_config.files: not used by this version; did you mean "file"?',
      '4 grpc_config.hellos: not served by this version; left out: helloworld',
      '18 grpc_config.state.t.component_ref: not used by this version',
      '11 grpc_config.state.s.type: the component type "state.mongodb" is not served by this version; "s" is left out',
      '23 grpc_config.state.t.metadata.poolSize: state.redis does not use this metadata key; it is left out',
    ]);
  });

  it.each([
    ['{"servers": 3}', ['1 servers: expected a list, found 3', '1 servers: expected a listener with']],
    ['{"servers": []}', ['1 servers: expected a listener with']],
    ['{"grpc_config": []}', ['1 grpc_config: expected a map, found a list']],
    ['{"state": {"s": 1}}', ['1 state.s: expected a component: a map with "type" and "metadata", found 1']],
    [
      '{"state": {\n"s": {}}}',
      ['2 state.s.type: expected a component type (text), such as redis, found nothing'],
    ],
    [
      '{"state": {"s": {"type": "redis", "metadata": []}}}',
      ['1 state.s.metadata: expected a map, found a list'],
    ],
    [
      '{"state": {"s": {"type": "rediss"}}}',
      ['1 state.s.type: unknown component type "state.rediss"; did you mean'],
    ],
    [
      '{"state": {"s": {"type": "in-memory",\n"secret_ref": [{"store_name": "x"}]}}}',
      ['2 state.s.secret_ref[0].key: expected text, found nothing'],
    ],
    ['{"state": {"a b": {"type": "in-memory"}}}', ['1 state.a b: expected 1 to 128 bytes without spaces']],
    [
      '{"state": {},\n"app": {"app_id": "a||b"}}',
      ['2 app.app_id: expected 1 to 128 visible ASCII characters'],
    ],
    [
      '{"state": {}, "app": {"grpc_callback_port": -1}}',
      ["1 app.grpc_callback_port: expected the app's port"],
    ],
    ['{"state": {}, "state": {}}', ['1 : cannot be read as YAML or JSON: Map keys must be unique']],
    ['{"state": ', ['1 : cannot be read as YAML or JSON: ']],
  ])('explains what is wrong with %s', async (text, expected) => {
    await folder.write({ [file]: text });
    const problems = await folder.problems({ file });
    expect(problems).toEqual(expected.map((start) => expect.stringContaining(`${file}:${start}`) as unknown));
  });

  it.each(['127.0.0.1', 'example.com:1', '1.2.3.4:0', 7])('refuses the address %s', async (address) => {
    await folder.write({ [file]: mosn({}, { address }) });
    const problems = await folder.problems({ file });
    expect(problems).toEqual([
      expect.stringMatching(/^config\.json:\d+ servers\[0\]\.listeners\[0\]\.address: expected "host:port"/),
    ]);
  });
});
