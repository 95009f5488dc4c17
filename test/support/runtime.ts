import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';

import { catalog } from '../../components-bridge/src/catalog.js';
import type { RuntimeConfig } from '../../components-bridge/src/config/types.js';
import { renderBootstrap } from '../../envoy/bootstrap.js';
import { moduleCapabilities } from '../../envoy/module-capabilities.js';
import { readModule } from '../../envoy/module-info.js';
import type { EnvoyObject } from '../../envoy/names.js';
import { RUNTIME_ROUTES_FILE } from '../../envoy/ways.js';
import { envoyBinary } from '../../tools/get.mjs';
import { Child } from './child.js';
import { showOnFailure } from './failure-logs.js';
import { http1, type Target } from './http1.js';
import { RawClient } from './grpc-raw.js';
import { freePort } from './ports.js';
import { resolve } from './runtime-options.js';
import type { BridgeStandIn, RuntimeOptions } from './runtime-options.js';
import { eventually } from './wait.js';

export { EMBEDDED, redisComponent } from './runtime-options.js';
export type { BridgeStandIn, RuntimeOptions, TestComponent } from './runtime-options.js';

const root = fileURLToPath(new URL('../..', import.meta.url));
const releaseModule = join(root, 'dist/modules/runtime.wasm');
const bridgeMain = join(root, 'dist/bridge/main.js');

/** The version the tests' runtimes say they have. */
export const VERSION = '0.1.0';

/** A real Envoy with the real filter, and a bridge, in a temporary folder on free ports. */
export class Runtime {
  private bridge: Child | undefined;
  private standIn: BridgeStandIn | undefined;
  private hide: () => void = () => undefined;
  private readonly clients: RawClient[] = [];
  envoy: Child;

  private constructor(
    readonly config: RuntimeConfig,
    private readonly startEnvoy: () => Child,
    private readonly options: RuntimeOptions,
    /** Where the bridge serves the gRPC doors itself, if it does. */
    readonly bridgePort: number,
  ) {
    this.envoy = startEnvoy();
  }

  /** Starts everything and waits until calls are answered; see `RuntimeOptions`. */
  static async start(options: RuntimeOptions = {}): Promise<Runtime> {
    const config = await resolve(options);
    const module = options.module ?? releaseModule;
    const adminSocket = join(config.dataDir, 'envoy-admin.sock');
    const { path, version } = await envoyBinary({ log: () => undefined });
    const rendered = renderBootstrap(config, {
      envoyVersion: version,
      moduleFile: module,
      capabilities: moduleCapabilities(readModule(await readFile(module))),
      version: VERSION,
      hold: options.hold ?? false,
      apiTokens: options.apiToken === undefined ? [] : [options.apiToken],
      catalog,
      adminSocket,
    });
    await mkdir(rendered.extensionDir, { recursive: true });
    for (const [name, text] of Object.entries(rendered.extensionConfigs)) {
      const changed =
        name === RUNTIME_ROUTES_FILE && options.routes ? withRoutes(text, options.routes) : text;
      await writeFile(join(rendered.extensionDir, name), changed);
    }
    const bootstrap =
      (await options.bootstrap?.(rendered.bootstrap, { config, module, adminSocket })) ?? rendered.bootstrap;
    const bootstrapFile = join(config.dataDir, 'bootstrap.json');
    await writeFile(bootstrapFile, JSON.stringify(bootstrap));
    await writeFile(join(config.dataDir, 'config.json'), JSON.stringify(config));

    const startEnvoy = (): Child =>
      new Child('envoy', path, [
        '-c',
        bootstrapFile,
        '--disable-hot-restart',
        '--concurrency',
        String(config.envoy.concurrency),
        '--log-level',
        'warn',
        '--component-log-level',
        'wasm:info',
      ]);
    const bridgePort = options.listen === true ? await freePort() : 0;
    const runtime = new Runtime(config, startEnvoy, options, bridgePort);
    runtime.hide = showOnFailure(() => runtime.tails());
    try {
      await runtime.startBridge();
      await runtime.ready();
    } catch (error) {
      const tails = runtime.tails();
      await runtime.stop();
      throw new Error(`the runtime did not start: ${(error as Error).message}\n${tails}`, { cause: error });
    }
    return runtime;
  }

  /** The listener's port on 127.0.0.1. */
  get port(): number {
    return this.config.listen.port;
  }

  get target(): Target {
    return { port: this.port };
  }

  get sessionSocket(): string {
    return join(this.config.dataDir, 'session.sock');
  }

  /** The bridge's process; an error if there is none. */
  get bridgeProcess(): Child {
    if (this.bridge === undefined) throw new Error('this runtime has no bridge process');
    return this.bridge;
  }

  /** A connection to the listener, closed by `stop`. */
  async connect(target: Target = this.target): Promise<RawClient> {
    const client = await RawClient.connect(target);
    this.clients.push(client);
    return client;
  }

  /** Envoy's counters and gauges whose names match. */
  async stats(pattern: RegExp): Promise<Record<string, number>> {
    const query = `filter=${encodeURIComponent(pattern.source)}&format=json`;
    const { body } = await this.admin(`/stats?${query}`);
    const { stats } = JSON.parse(body) as { stats: { name?: string; value?: number }[] };
    const found: Record<string, number> = {};
    for (const { name, value } of stats) {
      if (name !== undefined && typeof value === 'number' && pattern.test(name)) found[name] = value;
    }
    return found;
  }

  /** Open session streams, small and large, of every thread. */
  async openSessions(): Promise<number> {
    const gauges = this.options.sessionGauges ?? /^cluster\.layotto_session(_large)?\.upstream_rq_active$/;
    const active = await this.stats(gauges);
    return Object.values(active).reduce((sum, value) => sum + value, 0);
  }

  /** Sessions when all are open: two of each worker and of the main thread. */
  get expectedSessions(): number {
    return 2 * (this.config.envoy.concurrency + 1);
  }

  /** Waits until every thread has both sessions. */
  async sessionsOpen(timeoutMs = 10_000): Promise<void> {
    await eventually(
      `${this.expectedSessions} open sessions`,
      async () => (await this.openSessions()) >= this.expectedSessions,
      { timeoutMs },
    );
  }

  /** Whether the bridge says that every component is ready. @throws with the reason of the first that is not */
  async componentsReady(): Promise<boolean> {
    for (const { name, status, reason = '' } of await this.health()) {
      if (status !== 'ready') throw new Error(`${name} is ${status}: ${reason}`);
    }
    return true;
  }

  /** Where each component stands, as the bridge says. */
  async health(): Promise<{ name: string; status: string; reason?: string }[]> {
    const { body } = await http1(
      { socketPath: join(this.config.dataDir, 'bridge-admin.sock') },
      'GET',
      '/health',
    );
    return (JSON.parse(body) as { components: { name: string; status: string; reason?: string }[] })
      .components;
  }

  /** One of the bridge's metrics that has no labels. */
  async bridgeMetric(name: string): Promise<number> {
    const admin = { socketPath: join(this.config.dataDir, 'bridge-admin.sock') };
    const { body } = await http1(admin, 'GET', '/metrics');
    const value = new RegExp(`^${name} (\\S+)$`, 'm').exec(body)?.[1];
    if (value === undefined) throw new Error(`the bridge has no metric ${name}`);
    return Number(value);
  }

  envoyRssKiB(): Promise<number> {
    return this.envoy.rssKiB();
  }

  /** SIGKILL: the bridge is gone at once, with everything it had in hand. */
  async killBridge(): Promise<void> {
    this.bridgeProcess.signal('SIGKILL');
    await this.bridgeProcess.exited;
  }

  /** SIGKILL, and another Envoy in its place; resolves when it is live. */
  async restartEnvoy(): Promise<void> {
    this.envoy.signal('SIGKILL');
    await this.envoy.exited;
    this.envoy = this.startEnvoy();
    await eventually('Envoy is live', async () => (await this.admin('/ready')).status === 200);
  }

  /** SIGSTOP: the bridge stands still, its connections stay open. */
  stopBridge(): Promise<void> {
    return this.bridgeProcess.freeze();
  }

  contBridge(): void {
    this.bridgeProcess.signal('SIGCONT');
  }

  /** Starts a new bridge after the old one has gone; resolves when its socket accepts. */
  async restartBridge(): Promise<void> {
    if (this.bridge !== undefined) await this.bridge.stop();
    await this.startBridge();
  }

  /**
   * Starts a new bridge that takes over from the running one, and waits until the old one has gone.
   *
   * @returns the old one's exit code and what it had logged
   */
  async takeOver(): Promise<{ code: number; log: string }> {
    const old = this.bridgeProcess;
    this.bridge = this.spawnBridge('--takeover');
    const next = this.bridge;
    await eventually(
      'the old bridge has gone',
      () => {
        if (next.exitCode !== undefined) throw new Error(`the new bridge exited with ${next.exitCode}`);
        return old.exitCode !== undefined;
      },
      { timeoutMs: 30_000 },
    );
    return { code: await old.exited, log: old.log };
  }

  /** What both processes wrote last. */
  tails(lines = 40): string {
    return [this.envoy, this.bridge]
      .flatMap((child) => (child === undefined ? [] : [child.tail(lines)]))
      .join('\n');
  }

  /** Ends everything and removes the folder. */
  async stop(): Promise<void> {
    this.hide();
    for (const client of this.clients) client.close();
    this.envoy.signal('SIGKILL');
    await Promise.all([this.envoy.exited, this.bridge?.stop(), this.standIn?.stop()]);
    await rm(this.config.dataDir, { recursive: true, force: true });
  }

  /** A GET on Envoy's admin interface. */
  admin(path: string): Promise<{ status: number; body: string }> {
    return http1({ socketPath: join(this.config.dataDir, 'envoy-admin.sock') }, 'GET', path);
  }

  private async startBridge(): Promise<void> {
    const { bridge = 'spawn' } = this.options;
    if (bridge === 'none') return;
    if (typeof bridge === 'function') {
      this.standIn = await bridge(this.sessionSocket);
      return;
    }
    const child = this.spawnBridge();
    this.bridge = child;
    await eventually('the bridge listens', async () => {
      if (child.exitCode !== undefined) throw new Error(`the bridge exited with ${child.exitCode}`);
      return accepts({ socketPath: this.sessionSocket });
    });
  }

  private spawnBridge(...args: string[]): Child {
    const config = join(this.config.dataDir, 'config.json');
    const { bridgeArgs = [], apiToken, appToken } = this.options;
    const listen = this.bridgePort === 0 ? [] : ['--listen', String(this.bridgePort)];
    return new Child('bridge', process.execPath, [bridgeMain, config, ...args, ...listen, ...bridgeArgs], {
      env: {
        ...(apiToken === undefined ? {} : { DAPR_API_TOKEN: apiToken }),
        ...(appToken === undefined ? {} : { APP_API_TOKEN: appToken }),
      },
    });
  }

  private async ready(): Promise<void> {
    await eventually('Envoy is live', async () => {
      if (this.envoy.exitCode !== undefined) throw new Error(`Envoy exited with ${this.envoy.exitCode}`);
      return (await this.admin('/ready')).status === 200;
    });
    if ((this.options.bridge ?? 'spawn') === 'none') return;
    await this.sessionsOpen();
    if (this.bridgePort !== 0)
      await eventually('the bridge serves doors', () => accepts({ port: this.bridgePort }));
    if ((this.options.bridge ?? 'spawn') !== 'spawn' || this.options.waitForComponents === false) return;
    await eventually('every component is ready', () => this.componentsReady());
    await eventually('every state store answers', async () => {
      for (const { name, primitive } of this.config.components) {
        if (primitive !== 'state') continue;
        const headers: Record<string, string> = {};
        if (this.options.apiToken !== undefined) headers['dapr-api-token'] = this.options.apiToken;
        const { status, body } = await http1(this.target, 'GET', `/v1.0/state/${name}/ready`, { headers });
        if (status !== 200 && status !== 204) throw new Error(`${status} ${body}`);
      }
      return true;
    });
  }
}

/** What serves the gRPC doors, and on which port of 127.0.0.1 it does. */
export const GRPC_SERVERS: readonly [name: string, portOf: (runtime: Runtime) => number][] = [
  ['the filter', ({ port }) => port],
  ['the bridge itself', ({ bridgePort }) => bridgePort],
];

async function accepts(target: Target): Promise<boolean> {
  const client = await RawClient.connect(target);
  client.close();
  return true;
}

/** A file of routes, changed. */
function withRoutes(text: string, change: (routes: EnvoyObject) => EnvoyObject): string {
  const { resources } = parse(text) as { resources: EnvoyObject[] };
  return JSON.stringify({ resources: resources.map(change) });
}
