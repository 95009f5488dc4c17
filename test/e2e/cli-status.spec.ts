import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';

import { CommandLab } from '../support/layotto.js';
import { http1 } from '../support/http1.js';
import { freePort } from '../support/ports.js';
import { eventually } from '../support/wait.js';

const PASSWORD = 'correct-horse-battery';
const OPAQUE = 'planted-in-a-user-name';
const HEADER = 'Bearer 100%-hush';
const TOKEN = 'open-sesame-token';

describe('a running runtime', () => {
  let lab: CommandLab;

  beforeAll(async () => {
    lab = await CommandLab.open();
    const config = lab.file(
      'layotto.yaml',
      [
        `callees: { stock: 127.0.0.1:${await freePort()} }`,
        'components:',
        '  - { name: statestore, type: state.embedded }',
        '  - name: away',
        '    type: state.redis',
        '    metadata:',
        `      redisHost: 127.0.0.1:${await freePort()}`,
        '      redisPassword: { env: PLANTED_PASSWORD }',
        '      redisUsername: { env: PLANTED_NAME }',
        '',
      ].join('\n'),
    );
    mkdirSync(join(lab.folder, 'resources'));
    const headers = [{ name: 'authorization', envRef: 'PLANTED_HEADER' }];
    const web = {
      kind: 'HTTPEndpoint',
      metadata: { name: 'web' },
      spec: { baseUrl: 'http://localhost:1', headers },
    };
    lab.file('resources/web.yaml', JSON.stringify({ apiVersion: 'dapr.io/v1alpha1', ...web }));
    const planted = { PLANTED_PASSWORD: PASSWORD, PLANTED_NAME: OPAQUE, PLANTED_HEADER: HEADER };
    const env = { ...planted, DAPR_API_TOKEN: TOKEN };
    const run = lab.run([], { options: ['-c', config, '--resources-path', 'resources'], env });
    await lab.ready(run);
    const token = { 'dapr-api-token': TOKEN };
    for (const store of ['statestore', 'statestore', 'away'])
      await http1({ port: lab.port }, 'GET', `/v1.0/state/${store}/k`, { headers: token });
    await http1({ port: lab.port }, 'GET', '/v1.0/invoke/stock/method/x', { headers: token });
  });
  afterAll(() => lab?.close());

  async function status(...more: string[]): Promise<{ code: number | undefined; text: string }> {
    const child = lab.layotto(['status', '--data-dir', lab.dataDir, ...more]);
    await child.exited;
    return { code: child.exitCode, text: child.log };
  }

  test('tells how it does, for people and for programs', async () => {
    let told: Record<string, unknown> = {};
    await eventually('the calls are counted', async () => {
      told = JSON.parse((await status('--json')).text) as typeof told;
      return (told['traffic'] as { component: string }[]).some(({ component }) => component === 'away');
    });
    expect(told).toMatchObject({
      app: 'app',
      versions: {
        layotto: '0.1.0',
        module: '0.1.0',
        bridge: '0.1.0',
        envoy: expect.stringMatching(/^1\./) as string,
      },
      sessions: { ready: 3, threads: 3 },
      processes: {
        envoy: { pid: expect.any(Number) as number },
        bridge: { rssBytes: expect.any(Number) as number },
      },
      components: [
        { name: 'statestore', status: 'ready' },
        { name: 'away', status: 'connecting', reason: expect.stringContaining('ECONNREFUSED') as string },
      ],
    });
    const { filter, bridge } = told['configuration'] as Record<string, string>;
    expect(filter).toBe(bridge);
    expect(told['traffic']).toContainEqual(
      expect.objectContaining({
        door: 'dapr_http',
        operation: 'GetState',
        component: 'away',
        calls: 1,
        failed: 1,
      }),
    );

    expect(told['callees']).toEqual([{ callee: 'stock', calls: 1, failed: 1, perSecond: 0 }]);

    const { code, text } = await status();
    // One component is away: that needs a look.
    expect(code).toBe(1);
    expect(text).toMatch(/sessions +3 of 3 threads/);
    expect(text).toMatch(/away +state\.redis +connecting: .*ECONNREFUSED/);
    expect(text).toMatch(/calls to other apps\n +app +calls +failed +per second\n +stock +1 +1 +0\.0/);
  });

  test('goes into a bundle without its secrets', async () => {
    const archive = join(lab.folder, 'bundle.tgz');
    const child = lab.layotto(['debug', 'bundle', '--data-dir', lab.dataDir, '-o', archive]);
    await child.exited;
    expect(child.exitCode).toBe(0);
    const folder = join(lab.folder, 'unpacked');
    mkdirSync(folder);
    execFileSync('tar', ['xzf', archive, '-C', folder]);
    const files = Object.fromEntries(
      readdirSync(folder).map((name) => [name, readFileSync(join(folder, name), 'utf8')]),
    );
    expect(Object.keys(files)).toEqual(
      expect.arrayContaining([
        'bridge.log',
        'configuration.json',
        'envoy-config-dump.json',
        'envoy-stats.txt',
        'status.json',
      ]),
    );
    expect(files['configuration.json']).toContain('"redisPassword": "[redacted]"');
    expect(files['configuration.json']).toContain('"redisHost": "127.0.0.1:');
    expect(files['envoy-stats.txt']).toContain('layotto_operations_total');
    expect(files['bridge.log']).toContain('component is not ready');
    const whole = gunzipSync(readFileSync(archive)).toString('latin1');
    for (const secret of [PASSWORD, OPAQUE, TOKEN, '-hush']) expect(whole).not.toContain(secret);
    // It is there to be left out.
    expect(readFileSync(join(lab.dataDir, 'config.json'), 'utf8')).toContain(PASSWORD);
    expect(readFileSync(join(lab.dataDir, 'envoy/runtime.rds.yaml'), 'utf8')).toContain('-hush');
  });

  test('must run to be asked', async () => {
    const child = lab.layotto(['status', '--data-dir', lab.folder]);
    await child.exited;
    expect(child.exitCode).not.toBe(0);
    expect(child.log).toContain('nothing runs in');
  });
});
