import { dirname, join, resolve } from 'node:path';

import { catalogEntry, checkComponents } from './components.js';
import { applySecretScopes } from './dapr-configuration.js';
import type { SecretScope } from './dapr-configuration.js';
import { isDaprForm, readDaprFolder } from './dapr-yaml.js';
import { parseText, readText } from './document.js';
import { emptyDraft } from './draft.js';
import type { Draft, DraftComponent } from './draft.js';
import { addEndpoints } from './http-endpoint.js';
import { isLayottoForm, readLayotto } from './layotto-json.js';
import { appIdProblem, asPort, MAX_SOCKET_PATH, socketPathTooLong } from './limits.js';
import { readNative } from './native.js';
import { noticeUnknownComponents } from './policy.js';
import { describe, Findings } from './problems.js';
import { checkSchedules } from './schedules.js';
import { bridgeAdminSocket } from './sockets.js';
import { checkSubscriptions } from './subscriptions.js';
import type { CatalogEntry, Notice, Problem, RuntimeConfig } from './types.js';

export { configHash } from './hash.js';
export { formatProblem } from './problems.js';
export * from './types.js';

/** What a configuration is read from. */
export interface LoadOptions {
  /** The component types that this version serves. */
  catalog: readonly CatalogEntry[];
  /** `-c`: a file in the native form or in Layotto's JSON. Never read unless given. */
  file?: string;
  /** `--resources-path`: a folder of Dapr component files, or several. */
  resourcesPath?: string | readonly string[];
  /** `--app-id`, `--app-port`, `--port` and the data folder: each wins over the file. */
  appId?: string;
  /** What the app is called if nothing says so. */
  appName?: string;
  appPort?: number;
  port?: number;
  dataDir?: string;
  /** Without a word of components, serve none; by default those that need no server. */
  bare?: boolean;
  /** Whether components of primitives of one's own may be there, whose type is a path. Default true. */
  ownPrimitives?: boolean;
  /** For values taken from the environment; by default the process's own. */
  env?: NodeJS.ProcessEnv;
  /** Relative paths above, and the default data folder `.layotto`, count against it. */
  cwd?: string;
}

/** A configuration, or everything that is wrong with it; and what was left out on purpose. */
export type LoadResult =
  { config: RuntimeConfig; notices: Notice[] } | { problems: Problem[]; notices: Notice[] };

/** What the documentation promises for everything left out. */
const DEFAULTS = {
  app: { id: 'app', port: 0, protocol: 'http' },
  listen: { host: '127.0.0.1', port: 34904, hosts: [] },
  limits: {
    messageBytes: 4 * 1024 * 1024,
    operations: 1024,
    streams: 100,
    bytes: 64 * 1024 * 1024,
    cacheBytes: 8 * 1024 * 1024,
    deadlineMs: 15_000,
  },
  envoy: { concurrency: 2, metricsPort: 34903 },
  modules: { slots: 2 },
  tracing: { sampling: 1 },
} as const;

const EMBEDDED = 'embedded default';

const EMBEDDED_COMPONENTS: readonly { name: string; type: string; metadata?: Record<string, string> }[] = [
  { name: 'statestore', type: 'state.embedded' },
  { name: 'configstore', type: 'configuration.embedded' },
  { name: 'lockstore', type: 'lock.embedded' },
  { name: 'sequencer', type: 'sequencer.embedded' },
  { name: 'events', type: 'pubsub.embedded' },
  { name: 'localstorage', type: 'bindings.localstorage' },
  { name: 'file', type: 'file.local' },
  { name: 'helloworld', type: 'hello.helloworld' },
  { name: 'secretstore', type: 'secretstores.local.env', metadata: { prefix: 'SECRET_' } },
];

/**
 * Reads, merges and checks a configuration. It collects every problem, not only the first, and never throws for
 * what a file holds. Without `file` and `resourcesPath`, and for a native file that does not mention components,
 * there is one component of each primitive that needs no server, such as `statestore`, the embedded store.
 */
export async function loadConfig(options: LoadOptions): Promise<LoadResult> {
  const findings = new Findings();
  const cwd = options.cwd ?? process.cwd();
  const env = options.env ?? process.env;
  const draft =
    options.file === undefined ? emptyDraft() : await readFile(options.file, cwd, env, options, findings);
  const fileIsFine = findings.problems.length === 0;

  checkOptions(options, findings);
  // A wrong id is reported once; the default stands in so that the rest can still be checked.
  const wanted = options.appId ?? draft?.app.id ?? options.appName ?? DEFAULTS.app.id;
  const appId = appIdProblem(wanted) === undefined ? wanted : DEFAULTS.app.id;
  if (draft?.apps?.includes(appId) === false) {
    const expected = `the id of one of the file's apps, such as --app-id ${draft.apps[0]}`;
    findings.problem(
      options.file ?? '',
      draft.lineOf(['apps']),
      'apps',
      `expected ${expected}, found "${appId}"`,
    );
  }

  let components = inScope(draft?.components ?? [], appId, findings);
  const scopes: SecretScope[] = [];
  const subscriptions = [...(draft?.subscriptions ?? [])];
  const folders = [options.resourcesPath ?? []].flat();
  if (folders.length > 0) {
    const { namespace } = draft?.app ?? {};
    const context = {
      appId,
      env: namespace === undefined ? env : { ...env, NAMESPACE: namespace },
      skip: options.file === undefined ? undefined : resolve(cwd, options.file),
    };
    for (const shown of folders) {
      const found = await readDaprFolder(resolve(cwd, shown), shown, context, findings);
      components = [...components, ...found.components];
      scopes.push(...found.scopes);
      subscriptions.push(...found.subscriptions);
      addEndpoints(draft, found.endpoints, findings);
    }
  } else if (draft !== undefined && draft.components === undefined && options.bare !== true) {
    components = embeddedComponents(options.file ?? EMBEDDED, options.catalog);
  }
  const isSecretStore = ({ type }: DraftComponent): boolean =>
    catalogEntry(options.catalog, type)?.primitive === 'secret';
  applySecretScopes(scopes, components, isSecretStore, findings);
  const checked = checkComponents(components, options.catalog, findings);

  if (draft !== undefined) {
    const config = assemble(options, draft, cwd, appId, checked);
    // With half a file every second default would look like a contradiction.
    const subscribed = await checkSubscriptions(subscriptions, config, findings);
    if (subscribed.length > 0) config.subscriptions = subscribed;
    const scheduled = await checkSchedules(draft.schedules, config, findings);
    if (scheduled.length > 0) config.schedules = scheduled;
    if (fileIsFine) checkTogether(config, options, draft, findings);
    if (findings.problems.length === 0) return { config, notices: findings.notices };
  }
  return { problems: inOrder(findings.problems), notices: findings.notices };
}

/** The components that are meant for the app. */
function inScope(components: DraftComponent[], appId: string, findings: Findings): DraftComponent[] {
  return components.filter(({ name, apps, file, line, path }) => {
    if (apps === undefined || apps.includes(appId)) return true;
    findings.notice(
      file,
      line,
      `${path}.apps`,
      `"${name}" is not meant for the app "${appId}"; it is left out`,
    );
    return false;
  });
}

/** Reads the file of `-c`, whichever form it is in. Undefined if it is in none. */
async function readFile(
  shown: string,
  cwd: string,
  env: NodeJS.ProcessEnv,
  options: LoadOptions,
  findings: Findings,
): Promise<Draft | undefined> {
  const path = resolve(cwd, shown);
  const text = await readText(path, shown, findings);
  if (text === undefined) return undefined;
  const before = findings.problems.length;
  const [document, second] = parseText(text, shown, findings);
  if (findings.problems.length > before) return undefined;
  if (document === undefined) return emptyDraft();
  if (isDaprForm(document.value)) {
    const message = 'a Dapr resource, not a configuration file; give its folder by --resources-path';
    findings.problem(shown, document.lineOf(['kind']), 'kind', message);
    return undefined;
  }
  if (second !== undefined) {
    findings.problem(shown, second.startLine, '', 'expected one document, found a second; keep one per file');
    return undefined;
  }
  const folder = dirname(path);
  return isLayottoForm(document.value)
    ? readLayotto(document, folder, options.catalog, findings)
    : readNative(document, folder, env, options.ownPrimitives !== false, findings);
}

/** What is served without a word of configuration: of each primitive one component that needs no server. */
function embeddedComponents(file: string, catalog: readonly CatalogEntry[]): DraftComponent[] {
  const at = { file, line: 0, path: 'components' };
  return EMBEDDED_COMPONENTS.filter(({ type }) => catalogEntry(catalog, type) !== undefined).map(
    ({ name, type, metadata = {} }) => {
      const values = Object.entries(metadata).map(([key, value]) => ({ key, value, hidden: false, ...at }));
      const place = { ...at, typePath: 'components', typeLine: 0 };
      return { name, type, version: 'v1', form: 'native', metadata: values, ...place };
    },
  );
}

function checkOptions(options: LoadOptions, findings: Findings): void {
  const wrong = options.appId === undefined ? undefined : appIdProblem(options.appId);
  if (wrong !== undefined) findings.problem('', 0, '--app-id', `${wrong}, found ${describe(options.appId)}`);
  if (options.appPort !== undefined && asPort(options.appPort, 0) === undefined) {
    const expected = "expected the app's port, from 1 to 65535, or 0 for none";
    findings.problem('', 0, '--app-port', `${expected}, found ${describe(options.appPort)}`);
  }
  if (options.port !== undefined && asPort(options.port, 1) === undefined) {
    findings.problem('', 0, '--port', `expected a port from 1 to 65535, found ${describe(options.port)}`);
  }
}

function assemble(
  options: LoadOptions,
  draft: Draft,
  cwd: string,
  appId: string,
  components: RuntimeConfig['components'],
): RuntimeConfig {
  const sources = [options.file, options.resourcesPath].flat().filter((source) => source !== undefined);
  const listen: RuntimeConfig['listen'] = {
    host: draft.listen.host ?? DEFAULTS.listen.host,
    port: options.port ?? draft.listen.port ?? DEFAULTS.listen.port,
    hosts: [...(draft.listen.hosts ?? DEFAULTS.listen.hosts)],
  };
  if (draft.listen.unixSocket !== undefined) listen.unixSocket = draft.listen.unixSocket;
  if (draft.listen.actuator !== undefined) listen.actuator = draft.listen.actuator;
  if (draft.listen.proxy !== undefined) listen.proxy = draft.listen.proxy;
  if (draft.listen.inbound !== undefined) listen.inbound = draft.listen.inbound;
  const { otlp, sampling = DEFAULTS.tracing.sampling } = draft.tracing;
  return {
    source: sources.length === 0 ? EMBEDDED : sources.join(' and '),
    app: {
      id: appId,
      port: options.appPort ?? draft.app.port ?? DEFAULTS.app.port,
      protocol: draft.app.protocol ?? DEFAULTS.app.protocol,
      ...(draft.app.namespace === undefined ? {} : { namespace: draft.app.namespace }),
      ...(draft.app.group === undefined ? {} : { group: draft.app.group }),
    },
    ...(draft.appTokenFile === undefined ? {} : { appTokenFile: draft.appTokenFile }),
    listen,
    dataDir:
      options.dataDir === undefined
        ? (draft.dataDir ?? join(resolve(cwd), '.layotto'))
        : resolve(cwd, options.dataDir),
    limits: {
      messageBytes: draft.limits.messageBytes ?? DEFAULTS.limits.messageBytes,
      operations: draft.limits.operations ?? DEFAULTS.limits.operations,
      streams: draft.limits.streams ?? DEFAULTS.limits.streams,
      bytes: draft.limits.bytes ?? DEFAULTS.limits.bytes,
      cacheBytes: draft.limits.cacheBytes ?? DEFAULTS.limits.cacheBytes,
      deadlineMs: draft.limits.deadlineMs ?? DEFAULTS.limits.deadlineMs,
    },
    envoy: {
      concurrency: draft.envoy.concurrency ?? DEFAULTS.envoy.concurrency,
      metricsPort: draft.envoy.metricsPort ?? DEFAULTS.envoy.metricsPort,
    },
    modules: {
      slots: draft.modules.slots ?? DEFAULTS.modules.slots,
      ...(draft.modules.rollbackOnTrap && { rollbackOnTrap: draft.modules.rollbackOnTrap }),
    },
    ...(draft.functions === undefined ? {} : { functions: draft.functions }),
    outbound: draft.outbound ?? [],
    // Who may change components may reach whatever they can, so rules of access forbid it unless told otherwise.
    lifecycle: {
      apply: draft.lifecycle.apply ?? !guards(draft, components),
    },
    ...(otlp === undefined ? {} : { tracing: { otlp, sampling } }),
    ...(draft.callees === undefined ? {} : { callees: draft.callees }),
    ...(draft.invoke === undefined ? {} : { invoke: draft.invoke }),
    ...(draft.policy === undefined ? {} : { policy: draft.policy }),
    ...(draft.mesh === undefined ? {} : { mesh: draft.mesh }),
    components,
  };
}

/** Whether the app may not have every secret, or not use every topic. */
function guards({ policy }: Draft, components: RuntimeConfig['components']): boolean {
  if (components.some(({ access, topicScopes }) => access !== undefined || topicScopes !== undefined))
    return true;
  return policy?.rules.some(({ secrets, topics }) => secrets.length > 0 || topics.length > 0) ?? false;
}

/** Checks what only the whole shows: paths that became too long, ports taken twice, limits that contradict. */
function checkTogether(config: RuntimeConfig, options: LoadOptions, draft: Draft, findings: Findings): void {
  const file = options.file ?? '';
  const problem = (path: string[], message: string): void =>
    findings.problem(file, draft.lineOf(path), path.join('.'), message);

  const { unixSocket, port, actuator } = config.listen;
  if (unixSocket !== undefined && socketPathTooLong(unixSocket)) {
    problem(['listen', 'unixSocket'], tooLong(unixSocket));
  }
  const socket = bridgeAdminSocket(config.dataDir);
  if (socketPathTooLong(socket)) {
    const message = `${tooLong(socket)}; choose a data folder with a shorter path`;
    if (options.dataDir === undefined) problem(['dataDir'], message);
    else findings.problem('', 0, '--data-dir', message);
  }
  const taken = [port, config.envoy.metricsPort].indexOf(actuator?.port ?? -1);
  if (taken >= 0) {
    const user = taken === 0 ? 'listen.port' : 'envoy.metricsPort';
    problem(
      ['listen', 'actuator'],
      `expected a port of its own, found ${actuator?.port}, which ${user} uses`,
    );
  }
  config.outbound.forEach(({ name, listen }, i) => {
    const users = new Map<number | undefined, string>([
      [port, 'listen.port'],
      [config.envoy.metricsPort, 'envoy.metricsPort'],
      [actuator?.port, 'listen.actuator'],
      [config.app.port || undefined, 'app.port'],
    ]);
    config.outbound.slice(0, i).forEach((other) => users.set(other.listen.port, `outbound ${other.name}`));
    const user = users.get(listen.port);
    if (user !== undefined)
      problem(
        ['outbound', `${i}`, 'listen'],
        `expected a port of its own, found ${listen.port}, which ${user} uses`,
      );
    if (config.outbound.findIndex((other) => other.name === name) !== i)
      problem(['outbound', `${i}`, 'name'], `expected a name of its own, found ${name} a second time`);
  });
  const users = new Map<number | undefined, string>([
    [port, 'listen.port'],
    [config.envoy.metricsPort, 'envoy.metricsPort'],
    [actuator?.port, 'listen.actuator'],
    [config.app.port, 'app.port'],
    ...config.outbound.map(({ name, listen }) => [listen.port, `outbound ${name}`] as const),
  ]);
  const further = [
    { path: ['listen', 'proxy'], listener: config.listen.proxy },
    { path: ['listen', 'inbound'], listener: config.listen.inbound },
    { path: ['functions', 'listen'], listener: config.functions?.listen },
  ];
  for (const { path, listener } of further) {
    if (listener === undefined) continue;
    const user = users.get(listener.port);
    if (user !== undefined)
      problem(path, `expected a port of its own, found ${listener.port}, which ${user} uses`);
    users.set(listener.port, path.join('.'));
  }
  if (config.listen.inbound !== undefined && config.app.port === 0) {
    const message = "nobody is served there without app.port (or --app-port), the app's own port";
    findings.notice(file, draft.lineOf(['listen', 'inbound']), 'listen.inbound', message);
  }
  if (config.envoy.metricsPort === port) {
    problem(
      ['envoy', 'metricsPort'],
      `expected a port of its own, found ${port}, which listen.port uses; 0 turns metrics off`,
    );
  }
  if (config.app.port !== 0 && (config.app.port === port || config.app.port === config.envoy.metricsPort)) {
    const user = config.app.port === port ? 'the runtime listens on' : 'metrics use';
    const message = `expected the app's own port, found ${config.app.port}, which ${user}`;
    if (options.appPort === undefined) problem(['app', 'port'], message);
    else findings.problem('', 0, '--app-port', message);
  }
  if (draft.tracing.sampling !== undefined && config.tracing === undefined) {
    problem(
      ['tracing', 'otlp'],
      'expected the address of a collector, because tracing.sampling is set; found nothing',
    );
  }
  if (config.policy !== undefined) {
    noticeUnknownComponents(config, config.policy, (path, message) =>
      findings.notice(file, draft.lineOf(path), path.join('.'), message),
    );
  }
  if (config.limits.bytes < config.limits.messageBytes) {
    const message = `expected at least limits.message (${config.limits.messageBytes} bytes), found ${config.limits.bytes} bytes`;
    problem(['limits', 'bytes'], message);
  }
}

function tooLong(path: string): string {
  return `expected a socket path of at most ${MAX_SOCKET_PATH} bytes, found ${Buffer.byteLength(path)}: ${path}`;
}

/** By file and line, as a reader would go through them. */
function inOrder(problems: readonly Problem[]): Problem[] {
  const files = [...new Set(problems.map((problem) => problem.file))];
  return [...problems].sort((a, b) => files.indexOf(a.file) - files.indexOf(b.file) || a.line - b.line);
}
