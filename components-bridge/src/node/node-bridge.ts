import { chmod, lchown, lstat, mkdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { Logger } from 'pino';

import { changes, FILTER_SETTINGS } from '../config/changes.js';
import { socketPathTooLong } from '../config/limits.js';
import { bridgeAdminSocket, podsFolder, sessionSocket, streamsSocket } from '../config/sockets.js';
import type { ListenAddress, RuntimeConfig } from '../config/types.js';
import { watchSignature } from '../config/watch.js';
import type { ComponentType } from '../primitives/component.js';
import { reasonOf } from '../primitives/errors.js';
import { logApplied } from '../reload.js';
import { AdminServer } from '../server/admin.js';
import { AppShare, Turns } from '../server/app-share.js';
import type { ShareLimits } from '../server/app-share.js';
import { Bridge } from '../server/bridge.js';
import { Secrets } from '../telemetry/secrets.js';
import { appSignature, findApps } from './apps.js';
import type { AppSource, AppSources } from './apps.js';
import { intrusions } from './confine.js';
import { NodePages } from './pages.js';

/** How long new settings of an app may take before it is said that the old ones go on serving. */
const APPLY_WAIT_MS = 6_000;

/** How long the calls of an app that was removed may take. */
const LEAVE_MS = 4_000;

/** Pause before an app that could not be started is tried again. */
const AGAIN_MS = 5_000;

export interface NodeOptions {
  sources: AppSources;
  catalog: readonly ComponentType[];
  version: string;
  /** Folder of what components keep, with one folder for each app. */
  dataDir: string;
  /** Folder of one folder for each app, which holds its sockets. */
  socketDir: string;
  /** Group that may connect to sockets of apps that name none. */
  gid?: number | undefined;
  limits: ShareLimits;
  /** Where metrics and health are served, besides the socket in the data folder. */
  admin?: ListenAddress | undefined;
  /** Take the places of bridges that answer on the sockets. */
  takeover: boolean;
  env: NodeJS.ProcessEnv;
  log: Logger;
  /** What the log must not show: every app's secrets. */
  secrets: Secrets;
  /** Told when other processes have taken over every app, and what was in hand is done. */
  onTakenOver?: () => void;
}

/** An app that is known: served, or with what keeps it from that. */
export interface NodeApp {
  source: AppSource;
  /** Of the files that its configuration was read from last. */
  signature: string;
  log: Logger;
  share?: AppShare;
  config?: RuntimeConfig;
  bridge?: Bridge | undefined;
  /** What is about to take the bridge's place, by new settings. */
  next?: Bridge | undefined;
  /** Namespace and id by its files, which no other app may have. */
  identity?: string;
  /** Why it is not served, or not by what its files say now; a line each. */
  problems: string[];
}

/**
 * One bridge for every app of a node. Each app has a bridge of its own in this process, with its own sockets,
 * components, connections and limits, so that there is nothing by which a call could reach another app's component.
 */
export class NodeBridge {
  readonly #apps = new Map<string, NodeApp>();
  readonly #turns = new Turns();
  readonly #pages: NodePages;
  readonly #admins: AdminServer[];
  readonly #leaving = new Set<Promise<void>>();
  #unwatch: () => void = () => undefined;
  #again: NodeJS.Timeout | undefined;
  #work: Promise<void> = Promise.resolve();
  #said = '';
  #stopping = false;
  #superseded = false;

  constructor(private readonly options: NodeOptions) {
    const { dataDir, admin, gid, log, version } = options;
    this.#pages = new NodePages(version, this.#apps);
    const shared = { pages: this.#pages.byPath, log, gid };
    this.#admins = [
      new AdminServer({ ...shared, at: { socketPath: bridgeAdminSocket(dataDir) } }),
      ...(admin === undefined ? [] : [new AdminServer({ ...shared, at: admin })]),
    ];
  }

  /**
   * Serves every app that is configured, and from then on follows their files.
   *
   * @throws Error if the folder of sockets cannot be used
   */
  async start(): Promise<void> {
    const { socketDir, takeover } = this.options;
    await mkdir(socketDir, { recursive: true, mode: 0o755 });
    const { mode } = await lstat(socketDir);
    if ((mode & 0o002) !== 0)
      throw new Error(
        `${socketDir}: others may write there, so any app could put its socket in another's place; chmod o-w`,
      );
    for (const admin of this.#admins) void admin.start(takeover);
    this.#unwatch = watchSignature(
      () => this.#signature(),
      () => void this.sync(),
    );
    await this.sync();
    this.#pages.ready = true;
  }

  /** Reads the sources again and follows them. One after the other; never throws. */
  sync(): Promise<void> {
    this.#work = this.#work
      .then(() => this.#sync())
      .catch((error: unknown) => this.options.log.error({ err: error }));
    return this.#work;
  }

  /** Lets the calls in hand finish, `graceMs` at most, then closes everything. */
  async drain(graceMs: number): Promise<void> {
    this.#stopping = true;
    this.#unwatch();
    clearTimeout(this.#again);
    await this.#work;
    await Promise.all(this.#admins.map((admin) => admin.close()));
    await Promise.all([...this.#apps.values()].map(async ({ bridge }) => bridge?.drain(graceMs)));
    await Promise.all(this.#leaving);
    this.#pages.stop();
  }

  async #signature(): Promise<string> {
    const { apps, problems } = await findApps(this.options.sources);
    const all = await Promise.all(apps.map(async (app) => `${app.name} ${await appSignature(app)}`));
    return [...all, ...problems].join('\n');
  }

  async #sync(): Promise<void> {
    if (this.#stopping || this.#superseded) return;
    clearTimeout(this.#again);
    const { apps, problems, complete } = await findApps(this.options.sources);
    const said = problems.join('\n');
    if (said !== this.#said)
      for (const problem of problems) this.options.log.error({ problem }, 'wrong configuration');
    this.#said = said;
    this.#pages.problems = problems;
    const wanted = new Set(apps.map(({ name }) => name));
    for (const [name, app] of this.#apps) {
      if (complete && !wanted.has(name)) this.#remove(name, app);
    }
    await Promise.all(apps.map((source) => this.#follow(source)));
    if ([...this.#apps.values()].some(({ bridge }) => bridge === undefined)) {
      this.#again = setTimeout(() => void this.sync(), AGAIN_MS);
      this.#again.unref();
    }
  }

  async #follow(source: AppSource): Promise<void> {
    const { name } = source;
    const signature = await appSignature(source);
    let app = this.#apps.get(name);
    if (app === undefined) {
      const log = this.options.log.child({ app: name });
      this.#apps.set(name, (app = { source, signature: '', log, problems: [] }));
    }
    if (app.signature === signature && app.bridge !== undefined) return;
    const edited = app.signature !== signature;
    Object.assign(app, { source, signature });
    try {
      const config = await this.#load(app);
      if (app.bridge === undefined) await this.#serve(app, config, this.options.takeover);
      else await this.#change(app, app.config ?? config, config);
      app.problems = [];
    } catch (error) {
      const problems = reasonOf(error).split('\n');
      const same = !edited && problems.join('\n') === app.problems.join('\n');
      app.problems = problems;
      if (same) return;
      for (const problem of problems) app.log.error({ problem }, 'wrong configuration');
      app.log.error(app.bridge === undefined ? 'the app is not served' : 'the app stays as it is');
    }
  }

  /** @throws Error that says what is wrong, a line each */
  async #load(app: NodeApp): Promise<RuntimeConfig> {
    const { source, log } = app;
    const { formatProblem, loadConfig } = await import('../config/index.js');
    const { catalog, env, sources } = this.options;
    const dataDir = this.#dataDir(source.name);
    const result = await loadConfig({
      catalog,
      ...(source.file === undefined ? {} : { file: source.file }),
      ...(source.resources.length === 0 ? {} : { resourcesPath: source.resources }),
      ...(source.appId === undefined ? {} : { appId: source.appId }),
      appName: source.name,
      dataDir,
      bare: true,
      ownPrimitives: false,
      env,
    });
    for (const notice of result.notices) log.debug(formatProblem(notice));
    if ('problems' in result) throw new Error(result.problems.map(formatProblem).join('\n'));
    const { config } = result;
    const kept = [resolve(this.options.dataDir), resolve(this.options.socketDir)];
    if (sources.apps !== undefined) kept.push(resolve(sources.apps));
    const own = [dataDir, ...(sources.apps === undefined ? [] : [resolve(sources.apps, source.name)])];
    const problems = [...intrusions(config, own, kept), ...this.#clashes(app, config)];
    if (problems.length > 0) throw new Error(problems.join('\n'));
    return config;
  }

  /** Two apps of one id would have one another's keys. The first takes it. */
  #clashes(app: NodeApp, { app: { id, namespace = '' } }: RuntimeConfig): string[] {
    const identity = `${namespace}/${id}`;
    for (const [name, other] of this.#apps) {
      if (other === app || other.identity !== identity) continue;
      return [
        `app.id: "${id}" is the id of the app in ${name}, whose keys it would share; give one app.namespace`,
      ];
    }
    app.identity = identity;
    return [];
  }

  async #serve(app: NodeApp, config: RuntimeConfig, takeover: boolean): Promise<void> {
    const { catalog, limits, secrets, version, env } = this.options;
    const { name } = app.source;
    const gid = config.app.group ?? this.options.gid;
    const folder = join(this.options.socketDir, name);
    await makeFolder(folder, gid);
    await makeFolder(podsFolder(folder), gid, true);
    const socketPath = sessionSocket(folder);
    if (socketPathTooLong(streamsSocket(socketPath)))
      throw new Error(`${socketPath}: the path is too long for a socket; choose a shorter --socket-dir`);
    const { share } = app;
    const own = new Secrets(secrets);
    own.addComponents(config.components);
    const bridge: Bridge = new Bridge({
      config,
      catalog,
      version,
      socketPath,
      gid,
      appPods: podsFolder(folder),
      namespace: env['NAMESPACE'],
      log: app.log,
      secrets: own,
      share: share?.appId === config.app.id ? share : new AppShare(config.app.id, limits, this.#turns),
      onTakenOver: () => this.#takenOver(app, bridge),
    });
    app.next = bridge;
    try {
      if (takeover) await bridge.takeOver();
      else await bridge.start();
    } finally {
      app.next = undefined;
    }
    Object.assign(app, { bridge, config, share: bridge.share });
    app.log.info({ socket: socketPath, config: config.source }, 'serving the app');
  }

  /** Components change while they are in use; for any other setting another bridge takes this one's place. */
  async #change(app: NodeApp, running: RuntimeConfig, wanted: RuntimeConfig): Promise<void> {
    const { config, fixed } = changes(running, wanted, FILTER_SETTINGS);
    if (fixed.length > 0) {
      await this.#serve(app, wanted, true);
      return;
    }
    app.config = config;
    // Not waited for: other apps' changes go on meanwhile.
    void app.bridge
      ?.apply(config, { removeOthers: true, waitMs: APPLY_WAIT_MS })
      .then((applied) => logApplied(applied, app.log));
  }

  /** Its folder stays: pods may have it mounted, and would not see another of the same name. */
  #remove(name: string, { bridge, log }: NodeApp): void {
    this.#apps.delete(name);
    log.info('the app was removed');
    if (bridge !== undefined) this.#leave(bridge, LEAVE_MS);
  }

  /** Another process that takes over follows the files from now on: two would take the apps from each other. */
  #takenOver(app: NodeApp, bridge: Bridge): void {
    // Nobody waits for this one to end, so its calls may take as long as any.
    this.#leave(bridge, app.config?.limits.deadlineMs ?? LEAVE_MS);
    if (app.next !== undefined || this.#stopping) return;
    app.log.info('another bridge has taken over the app');
    app.bridge = undefined;
    this.#superseded = true;
    this.#unwatch();
    clearTimeout(this.#again);
    if ([...this.#apps.values()].every((each) => each.bridge === undefined))
      void Promise.all(this.#leaving).then(() => this.options.onTakenOver?.());
  }

  #leave(bridge: Bridge, graceMs: number): void {
    const left = bridge.drain(graceMs).finally(() => this.#leaving.delete(left));
    this.#leaving.add(left);
  }

  #dataDir(name: string): string {
    return join(resolve(this.options.dataDir), 'apps', name);
  }
}

/**
 * Makes the folder of an app's sockets: the group may look for them, and nobody else may write there.
 *
 * @param shared whether the group may write there too. What is made in it is the group's then, and as open to it: of its
 *   mode and group the kubelet makes a pod's part of it.
 */
async function makeFolder(path: string, gid: number | undefined, shared = false): Promise<void> {
  const made = await mkdir(path, { mode: gid === undefined ? 0o700 : 0o750 }).then(
    () => true,
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'EEXIST') return false;
      throw error;
    },
  );
  const found = await lstat(path);
  const uid = process.getuid?.() ?? found.uid;
  if (!found.isDirectory() || found.uid !== uid)
    throw new Error(`${path}: expected a folder of the user ${uid}, found one of ${found.uid}; remove it`);
  if (gid === undefined) return;
  if (made || found.gid !== gid) await lchown(path, -1, gid);
  if (shared) await chmod(path, 0o2770);
}
