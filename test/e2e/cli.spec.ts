import { readFileSync, writeFileSync } from 'node:fs';
import { parse } from 'yaml';
import { Child } from '../support/child.js';
import { buildFunction } from '../../tools/function.mjs';
import { envoyBinary } from '../../tools/get.mjs';
import { CommandLab } from '../support/layotto.js';

let lab: CommandLab;

beforeEach(async () => {
  lab = await CommandLab.open();
});

afterEach(async () => {
  await lab.close();
});

/** Runs the command to its end. */
async function layotto(...args: string[]): Promise<{ code: number; log: string }> {
  const child = lab.layotto(args);
  return { code: await child.exited, log: child.log };
}

const HELLO = new URL('../../dist/modules/hello.wasm', import.meta.url).pathname;

it.each([
  'run',
  'check',
  'bridge',
  'envoy bootstrap',
  'envoy envoyfilter',
  'envoy slot',
  'envoy trafficextension',
  'envoy wasmplugin',
  'version',
])('%s has --help', async (command) => {
  const { code, log } = await layotto(...command.split(' '), '--help');
  expect(code).toBe(0);
  expect(log).toContain(`Usage: layotto ${command}`);
  expect(log).toContain('--help');
});

it.each([[['--help']], [[]], [['envoy']]])('%j lists the commands', async (args) => {
  const { code, log } = await layotto(...args);
  expect(code).toBe(0);
  expect(log).toContain('envoy bootstrap');
});

it.each(['envoy', 'module'])(
  "%s --help lists the group's commands only, and how they are called",
  async (group) => {
    const { code, log } = await layotto(group, '--help');
    expect(code).toBe(0);
    expect(log).toContain(`Usage: layotto ${group} COMMAND [options]\n`);
    expect(log).toContain(`'layotto ${group} COMMAND --help'`);
    const listed = [...log.matchAll(/^ {2}(\w+) /gm)].map(([, word]) => word);
    expect(new Set(listed)).toEqual(new Set([group]));
  },
);

it('a digest may be written as registries write it', async () => {
  const digest = 'ab'.repeat(32);
  const options = ['envoy', 'wasmplugin', '--module-url', 'oci://a/b:1', '--module-sha256'];
  const { code, log } = await layotto(...options, `sha256:${digest}`);
  expect(code).toBe(0);
  expect(log).toContain(`sha256: ${digest}\n`);
  const wrong = await layotto(...options, 'sha512:ab');
  expect(wrong.code).toBe(1);
  expect(wrong.log).toContain('module checksum: expected a SHA-256');
});

it.each([
  [['fly'], "there is no command 'fly'"],
  [['envoy', 'fly'], "there is no command 'envoy fly'"],
  [['run', '--fly'], "Unknown option '--fly'"],
  [['run', 'node', 'app.js'], "Unexpected argument 'node'; the command to run goes after --"],
  [['run', '--'], 'a command must follow --'],
  [['run', '--port', 'high'], "--port needs a whole number, not 'high'"],
  [['run', '--metrics-port', '70000'], "--metrics-port needs a port, or 0 for none, not '70000'"],
  [
    ['check', '--delivery', 'x'],
    "--delivery needs one of static, envoyfilter, trafficextension, trafficextension-stable, wasmplugin, not 'x'",
  ],
  [
    ['envoy', 'wasmplugin', '--module-url', 'oci://a/b:1'],
    "an oci:// address needs --module-sha256, the digest of the image's manifest",
  ],
  [['envoy', 'envoyfilter', '--selector', 'x'], "--selector needs a label as key=value, not 'x'"],
])('%j is refused in one line', async (args, message) => {
  const { code, log } = await layotto(...args);
  expect(code).toBe(2);
  expect(log).toBe(`layotto: ${message} (see layotto --help)\n`);
});

it('version names package, module, Envoy and Node', async () => {
  const { code, log } = await layotto('version');
  const own = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
    version: string;
  };
  expect(code).toBe(0);
  expect(log).toContain(`layotto ${own.version}\n`);
  expect(log).toMatch(/^module {2}[0-9a-f]{12}$/m);
  expect(log).toContain(`envoy   ${(await envoyBinary()).version} `);
  expect(log).toContain(`node    ${process.versions.node}\n`);
});

describe('check', () => {
  it('accepts the built-in default', async () => {
    expect(await layotto('check')).toEqual({
      code: 0,
      log: expect.stringMatching(
        /^embedded default: valid; components: statestore \(state\.embedded\), .*\n$/,
      ) as string,
    });
  });

  it('says every problem of a file with its line and key', async () => {
    lab.file('layotto.yaml', 'listen:\n  port: high\ncomponents:\n  - name: a\n    type: state.nothing\n');
    const { code, log } = await layotto('check', '-c', 'layotto.yaml');
    expect(code).toBe(1);
    expect(log).toMatch(/^layotto\.yaml:2: listen\.port: expected/m);
    expect(log).toMatch(/^layotto\.yaml:5: components\[0\]\.type: /m);
    expect(log).toMatch(/^layotto: 2 problems$/m);
  });

  it('reads a folder of Dapr components', async () => {
    const component = 'apiVersion: dapr.io/v1alpha1\nkind: Component\nmetadata:\n  name: cart\nspec:\n';
    lab.file(
      'cart.yaml',
      `${component}  type: state.redis\n  version: v1\n  metadata:\n    - name: redisHost\n      value: localhost:6379\n`,
    );
    const { code, log } = await layotto('check', '--resources-path', '.');
    expect(log).toContain('valid; components: cart (state.redis)');
    expect(code).toBe(0);
  });
});

describe('envoy', () => {
  it('bootstrap prints a configuration that Envoy accepts', async () => {
    const { code, log } = await layotto(
      'envoy',
      'bootstrap',
      '--data-dir',
      lab.dataDir,
      '--port',
      String(lab.port),
    );
    expect(code).toBe(0);
    const file = lab.file('bootstrap.yaml', log);
    const { path } = await envoyBinary();
    const envoy = new Child('envoy', path, ['--mode', 'validate', '-c', file, '--log-level', 'error']);
    expect(`${await envoy.exited} ${envoy.log}`).toContain('OK');
    expect(await envoy.exited).toBe(0);
  });

  it('bootstrap says how to run Envoy and the bridge with it', async () => {
    const { log } = await layotto(
      'envoy',
      'bootstrap',
      '--data-dir',
      `${lab.dataDir} one's`,
      '--app-id',
      'shop',
    );
    const [envoy, bridge] = log.split('\n');
    expect(envoy).toBe('# envoy -c THIS_FILE --disable-hot-restart --concurrency 2');
    expect(bridge).toMatch(
      /^# Beside it the bridge: node --max-semi-space-size=\d+ \S+main\.js --data-dir '.* one'\\''s' --app-id shop$/,
    );
  });

  it('envoyfilter prints the resource for the pods it is asked for', async () => {
    const { code, log } = await layotto(
      'envoy',
      'envoyfilter',
      '--namespace',
      'shop',
      '--selector',
      'tier=web',
    );
    expect(code).toBe(0);
    expect(parse(log)).toMatchObject({
      kind: 'EnvoyFilter',
      metadata: { name: 'layotto', namespace: 'shop' },
      spec: { workloadSelector: { labels: { tier: 'web' } } },
    });
  });

  it('slot prints what fills a slot of the listener, and what empties it', async () => {
    const to = ['--slot', 'slot-1', '--module-file', '/var/run/layotto/hello.wasm'];
    const filled = await layotto('envoy', 'slot', ...to, '--module-copy', HELLO);
    expect(filled.code).toBe(0);
    expect(parse(filled.log)).toMatchObject({
      metadata: { name: 'layotto-slot-1' },
      spec: {
        configPatches: [
          {
            applyTo: 'EXTENSION_CONFIG',
            patch: {
              value: {
                name: 'layotto.slot.slot-1',
                typed_config: { config: { root_id: 'runtime', allow_on_headers_stop_iteration: true } },
              },
            },
          },
        ],
      },
    });
    expect(filled.log).toContain('passOn');
    const empty = await layotto('envoy', 'slot', '--slot', 'slot-1', '--empty');
    expect(empty.code).toBe(0);
    expect(empty.log).toContain('header_mutation.v3.HeaderMutation');
    expect(empty.log).not.toContain('wasm');
  });

  it.each([
    [
      'trafficextension',
      { kind: 'TrafficExtension', spec: { priority: 998, wasm: { pluginName: 'runtime' } } },
    ],
    ['wasmplugin', { kind: 'WasmPlugin', spec: { priority: 998, pluginName: 'runtime' } }],
  ])('slot prints a resource of the form %s', async (form, expected) => {
    const { code, log } = await layotto(
      'envoy',
      'slot',
      '--slot',
      'slot-2',
      '--form',
      form,
      '--module-copy',
      HELLO,
    );
    expect(code).toBe(0);
    expect(parse(log)).toMatchObject({ metadata: { name: 'layotto-slot-2' }, ...expected });
    expect(log).toContain('outbound|34904||session.layotto.internal');
    expect(log).toContain('passOn: true');
  });

  it.each([
    [['--empty'], '--slot says into which slot'],
    [['--slot', 'slot-1', '--id', 'x'], '--id is of functions, which go into function-1'],
    [['--slot', 'slot-1', '--no-try'], '--no-try is of functions, which go into function-1'],
    [
      ['--slot', 'orders', '--form', 'wasmplugin'],
      'orders is a slot of what layotto envoy envoyfilter prints',
    ],
    [['--slot', 'slot-1', '--form', 'wasmplugin', '--empty'], 'no WasmPlugin is empty: delete the one'],
    [['--slot', 'slot-1', '--form', 'x'], "--form is envoyfilter, trafficextension or wasmplugin, not 'x'"],
    [
      ['--slot', 'function-1', '--module-copy', HELLO],
      'hello.wasm: it is no function; layotto function build makes one',
    ],
    [['--slot', 'slot-1'], '--module-copy FILE says which module'],
    [
      ['--slot', 'slot-9', '--empty'],
      'slot: expected one that the listeners have (slot-1, slot-2), found "slot-9"',
    ],
    [['--slot', 'slot-1', '--module-copy', 'package.json'], 'package.json: '],
  ])('slot refuses %j', async (args, expected) => {
    const { code, log } = await layotto('envoy', 'slot', ...args);
    expect(code).toBeGreaterThan(0);
    expect(log).toContain(expected);
  });

  it('slot tries a function as a push does, and puts none where modules go', async () => {
    const source = lab.file(
      'trapping.ts',
      `import { Call, Handler, serve } from 'layotto/function';
class Trapping extends Handler {
  onRequest(call: Call): void {
    unreachable();
  }
}
serve((): Handler => new Trapping());
`,
    );
    const copy = source.replace(/ts$/, 'wasm');
    writeFileSync(copy, await buildFunction(source));
    for (const [args, expected] of [
      [['function-1', '--id', 'x'], 'it traps at a first call'],
      [['slot-1'], 'it is a function; functions go into function-1'],
    ] as const) {
      const { code, log } = await layotto('envoy', 'slot', '--module-copy', copy, '--slot', ...args);
      expect(code).toBe(1);
      expect(log).toContain(expected);
    }
  });

  it('envoyfilter says what Kubernetes would refuse', async () => {
    const { code, log } = await layotto('envoy', 'envoyfilter', '--namespace', 'Shop');
    expect(code).toBe(1);
    expect(log).toMatch(/^layotto: namespace: expected .*"Shop"\n$/);
  });
});
