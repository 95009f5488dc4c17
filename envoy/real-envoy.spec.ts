import { mkdirSync, mkdtempSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { parse } from 'yaml';

import type { RuntimeConfig } from '../components-bridge/src/config/types.js';
import { Child } from '../test/support/child.js';
import { composeEnvoyFilter } from '../test/support/compose-envoyfilter.js';
import { http1 } from '../test/support/http1.js';
import { freePort } from '../test/support/ports.js';
import { sampleCatalog } from '../test/support/sample-catalog.js';
import { tinyModule } from '../test/support/tiny-module.js';
import { eventually } from '../test/support/wait.js';
import { envoyBinary } from '../tools/get.mjs';
import { EXTENSION_FILE, renderBootstrap } from './bootstrap.js';
import type { BootstrapOptions, RenderedBootstrap } from './bootstrap.js';
import { renderEnvoyFilter } from './istio/envoyfilter.js';
import { renderSamples, SAMPLE_CONFIG } from './samples.js';
import { toYaml } from './yaml.js';

// What a real Envoy says about the generator's output. The module is the smallest there is: only the
// configuration around it is on trial here.

let folder: string;
let envoy: string;
let moduleFile: string;

beforeAll(async () => {
  envoy = (await envoyBinary()).path;
}, 180_000);

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'le-'));
  moduleFile = join(folder, 'tiny.wasm');
  writeFileSync(moduleFile, tinyModule());
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function write(name: string, content: string): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

/** What `envoy --mode validate` says: OK, or its complaint. */
async function validate(bootstrap: unknown): Promise<string> {
  const path = write('validate.yaml', toYaml(bootstrap));
  const child = new Child('envoy', envoy, ['--mode', 'validate', '-c', path, '-l', 'warn']);
  return (await child.exited) === 0 ? 'OK' : child.tail();
}

async function localConfig(): Promise<RuntimeConfig> {
  return {
    ...SAMPLE_CONFIG,
    dataDir: folder,
    listen: {
      ...SAMPLE_CONFIG.listen,
      port: await freePort(),
      unixSocket: join(folder, 'app.sock'),
    },
    envoy: { concurrency: 1, metricsPort: await freePort() },
  };
}

function options(more: Partial<BootstrapOptions> = {}): BootstrapOptions {
  return { version: '1.2.3', hold: false, apiTokens: ['t'], catalog: sampleCatalog, moduleFile, ...more };
}

/** Writes the files that a bootstrap refers to, as whoever starts Envoy must. */
function writeFiles({ extensionDir, extensionConfigs }: RenderedBootstrap): void {
  mkdirSync(extensionDir, { recursive: true });
  for (const [name, content] of Object.entries(extensionConfigs)) {
    writeFileSync(join(extensionDir, name), content);
  }
}

/** Writes the bootstrap and its files and starts an Envoy on them. */
async function start(config: RuntimeConfig, more: Partial<BootstrapOptions> = {}) {
  const rendered = renderBootstrap(config, options(more));
  writeFiles(rendered);
  const path = write('bootstrap.yaml', toYaml(rendered.bootstrap));
  const child = new Child('envoy', envoy, [
    '-c',
    path,
    '--concurrency',
    '1',
    '--disable-hot-restart',
    '-l',
    'warn',
  ]);
  const admin = { socketPath: join(folder, 'envoy-admin.sock') };
  try {
    await eventually('Envoy to be ready', async () => {
      if (child.exitCode !== undefined) throw new Error(child.tail());
      return (await http1(admin, 'GET', '/ready')).status === 200;
    });
  } catch (error) {
    await child.stop();
    throw new Error(child.tail(), { cause: error });
  }
  return { child, admin, extensionDir: rendered.extensionDir };
}

describe('Envoy accepts', () => {
  it.each<Partial<BootstrapOptions>>([
    { delivery: 'inline' },
    { delivery: 'inline', hold: true },
    { delivery: 'file' },
  ])('the bootstrap with %j', async (more) => {
    const rendered = renderBootstrap(await localConfig(), options(more));
    writeFiles(rendered);
    expect(await validate(rendered.bootstrap)).toBe('OK');
  });

  it.each<Partial<BootstrapOptions>>([{}, { hold: true, delivery: 'inline' }, { envoyVersion: '1.38.0' }])(
    'the bootstrap of a runtime that is traced, with %j',
    async (more) => {
      // This Envoy is one that all forms must be for, if it is an old one; else the newer form too.
      const own = await envoyBinary();
      if (more.envoyVersion !== undefined) more = { ...more, envoyVersion: own.version };
      for (const otlp of ['http://127.0.0.1:4318', 'http://[::1]:4318', 'http://collector.example:80/base']) {
        const config = { ...(await localConfig()), tracing: { otlp, sampling: 0.25 } };
        const rendered = renderBootstrap(config, options(more));
        writeFiles(rendered);
        expect(await validate(rendered.bootstrap)).toBe('OK');
      }
    },
  );

  it('an EnvoyFilter of a runtime that is traced', async () => {
    const config = { ...SAMPLE_CONFIG, tracing: { otlp: 'http://collector.observe:4318', sampling: 1 } };
    const filter = renderEnvoyFilter(config, {
      ...options(),
      module: { file: moduleFile },
    });
    const place = { moduleFile, socket: join(folder, 'session.sock'), port: await freePort() };
    expect(await validate(composeEnvoyFilter(filter, place))).toBe('OK');
  });

  it.each(['envoyfilter.yaml', 'envoyfilter-hold.yaml'])('what %s adds to a sidecar', async (name) => {
    const place = { moduleFile, socket: join(folder, 'session.sock'), port: await freePort() };
    const bootstrap = composeEnvoyFilter(parse(renderSamples()[name] ?? ''), place);
    expect(await validate(bootstrap)).toBe('OK');
  });

  it('nothing that it does not know', async () => {
    const { bootstrap } = renderBootstrap(await localConfig(), options());
    expect(await validate({ ...bootstrap, static_resource: {} })).toContain('static_resource');
    writeFileSync(moduleFile, 'not a module');
    const inline = renderBootstrap(await localConfig(), options({ delivery: 'inline' }));
    expect(await validate(inline.bootstrap)).toContain('wasm');
  });
});

describe('a running Envoy', () => {
  let child: Child | undefined;
  afterEach(() => child?.stop());

  it('answers on the port and on the socket, and shows metrics and nothing else', async () => {
    const config = await localConfig();
    const running = await start(config);
    child = running.child;

    const socketPath = join(folder, 'app.sock');
    for (const target of [{ port: config.listen.port }, { socketPath }]) {
      // The tiny module lets the request pass, and behind it there is no endpoint.
      expect(await http1(target, 'GET', '/any//%2Fpath')).toMatchObject({ status: 503 });
    }
    for (const path of [socketPath, running.admin.socketPath])
      expect(statSync(path).mode & 0o777).toBe(0o600);

    const metrics = { port: config.envoy.metricsPort };
    for (const path of ['/metrics', '/stats/prometheus', '/metrics?usedonly']) {
      const answer = await http1(metrics, 'GET', path);
      expect([path, answer.status]).toEqual([path, 200]);
      expect(answer.body).toContain('envoy_http_downstream_rq_total{');
    }
    // Those of the bridge are asked for where it will be.
    expect(await http1(metrics, 'GET', '/metrics/bridge')).toMatchObject({ status: 503 });
    const bridge = createServer((request, response) => response.end(`bridge ${request.url}`));
    await new Promise<void>((resolve) => bridge.listen(join(folder, 'bridge-admin.sock'), resolve));
    const fromBridge = await http1(metrics, 'GET', '/metrics/bridge');
    await new Promise((resolve) => {
      bridge.close(resolve);
      bridge.closeAllConnections();
    });
    expect(fromBridge).toMatchObject({ status: 200, body: 'bridge /metrics' });
    for (const [method, path] of [
      ['POST', '/metrics'],
      ['GET', '/'],
      ['GET', '/config_dump'],
      ['POST', '/quitquitquit'],
      ['GET', '/metrics/../config_dump'],
      ['GET', '/metricsx'],
      ['POST', '/metrics/bridge'],
      ['GET', '/metrics/bridge/../health'],
      ['GET', '/health'],
    ] as const) {
      expect([method, path, (await http1(metrics, method, path)).status]).toEqual([method, path, 404]);
    }
  });

  it('takes a new configuration over while it runs, and keeps the last good one', async () => {
    const config = await localConfig();
    const running = await start(config);
    child = running.child;
    const count = async (name: string): Promise<number> => {
      const filter = `extension_config_discovery.http_filter.layotto.runtime.${name}`;
      const { body } = await http1(running.admin, 'GET', `/stats?filter=${filter}$`);
      return Number(/: (\d+)/.exec(body)?.[1] ?? -1);
    };
    const push = (more: Partial<BootstrapOptions>): void => {
      const { extensionConfigs } = renderBootstrap(config, options(more));
      const next = write('next.yaml', extensionConfigs[EXTENSION_FILE] ?? '');
      renameSync(next, join(running.extensionDir, EXTENSION_FILE));
    };

    expect(await count('update_success')).toBe(1);
    push({ version: '1.2.4' });
    await eventually(
      'the new configuration to be taken over',
      async () => (await count('update_success')) === 2,
    );
    const dump = await http1(running.admin, 'GET', '/config_dump?resource=ecds_filters');
    expect(dump.body).toContain('1.2.4');

    push({ moduleFile: write('broken.wasm', 'not a module') });
    await eventually('the broken module to be refused', async () => (await count('update_rejected')) === 1);
    // The good module still lets requests pass: Envoy's own refusal for a broken filter has another body.
    const answer = await http1({ port: config.listen.port }, 'GET', '/');
    expect(answer).toMatchObject({ status: 503, body: 'no healthy upstream' });
    expect(await count('update_success')).toBe(2);
  });
});
