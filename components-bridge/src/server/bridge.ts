import { configHash } from '../config/hash.js';
import { sessionSocket, streamsSocket } from '../config/sockets.js';
import type { RuntimeConfig } from '../config/types.js';
import { Policy } from '../policy/policy.js';
import { Backends } from '../primitives/backends.js';
import { ComponentRegistry } from '../primitives/registry.js';
import type { Applied, ApplyOptions } from '../primitives/registry.js';
import { SecretReferences } from '../primitives/secret/references.js';
import { heedBiggerThan } from '../primitives/sequencer/bigger-than.js';
import type { ComponentHealth } from '../primitives/slot.js';
import type { Labels } from '../telemetry/exposition.js';
import { SpanExporter } from '../telemetry/otlp.js';
import type { AppShare } from './app-share.js';
import { appOf } from './bridge-app.js';
import type { BridgeOptions } from './bridge-options.js';
import { BridgePages } from './bridge-pages.js';
import { CallWatch } from './calls.js';
import { ComponentHistory } from './component-history.js';
import type { DoorServer } from './door-server.js';
import { healthPush } from './health-push.js';
import { invalidation } from './invalidations.js';
import type { BridgeState, MetricsSource } from './metrics.js';
import { Predecessor } from './predecessor.js';
import { Services } from './services.js';
import { SessionServer } from './session.js';
import { StreamServer } from './streams.js';

/** How long filters wait for their greeting while components are opened for the first time. */
const FIRST_TRIES_MS = 250;

/** How long components may take to become ready before a bridge that takes over does so without them. */
const TAKE_OVER_MS = 5_000;

/** How often it is looked whether the secrets of components have changed. */
const RENEW_EVERY_MS = 2_000;

/** How long the last spans may take to reach their collector. */
const LAST_SPANS_MS = 1_000;

/** The bridge, put together: configuration, components, primitives, session server, and what is told of them. */
export class Bridge {
  readonly socketPath: string;
  readonly #registry: ComponentRegistry;
  readonly #sessions: SessionServer;
  readonly #streams: StreamServer;
  /** Undefined if it is one of several: all have one set of pages. */
  readonly #pages: BridgePages | undefined;
  readonly #services: Services;
  readonly #calls: CallWatch;
  /** If it serves doors itself. */
  #doors: DoorServer | undefined;
  readonly #spans: SpanExporter | undefined;
  readonly #backends: Backends;
  readonly #history = new ComponentHistory();
  readonly #policy: Policy;
  readonly #names: Pick<BridgeState, 'version' | 'configVersion'>;
  #loaded: Promise<void> = Promise.resolve();
  #renewals: NodeJS.Timeout | undefined;
  #telling = false;
  /** The configuration that was asked for last. */
  #config: RuntimeConfig;

  constructor(private readonly options: BridgeOptions) {
    const { config, log, secrets, version, gid, share } = options;
    this.#config = config;
    this.socketPath = options.socketPath ?? sessionSocket(config.dataDir);
    this.#names = { version, configVersion: configHash(config) };
    this.#policy = new Policy(config);
    const backends = new Backends(secrets);
    backends.seats.use(config.policy?.limits ?? []);
    this.#backends = backends;
    const owner = { appId: config.app.id, namespace: config.app.namespace ?? options.namespace ?? '' };
    this.#spans = spanExporter(options);
    const references = new SecretReferences({
      find: (store) => this.#registry.find('secret', store),
      secrets,
    });
    this.#registry = new ComponentRegistry({
      metadataOf: (component) => references.metadataOf(component),
      prepare: (component, instance) => heedBiggerThan(component, instance, owner),
      components: config.components,
      types: options.catalog,
      ownType: (component) => options.ownType?.(component, config.limits.messageBytes),
      appId: config.app.id,
      dataDir: config.dataDir,
      log,
      secrets,
      onHealth: (health) => {
        this.#history.note(health);
        options.onHealth?.(health);
        this.#tellHealth();
      },
      onReplaced: (component) => {
        this.#reconfigured();
        options.onReplaced?.(component);
      },
      onInvalid: (component, keys) => {
        const push = invalidation(component, keys, owner);
        if (push !== undefined) this.#sessions.push(push);
      },
    });
    this.#services = new Services({
      config,
      owner,
      registry: this.#registry,
      catalog: options.catalog,
      backends,
      policy: this.#policy,
      log,
      mayApply: () => share === undefined && this.#config.lifecycle.apply,
      push: (payload) => this.#sessions.push(payload),
      app: {
        ...appOf(options, this.socketPath, (pod) => this.#sessions.hasPod(pod)),
        spans: this.#spans,
      },
    });
    const services = this.#services.all;
    const calls = new CallWatch({ log, secrets, spans: this.#spans });
    this.#calls = calls;
    this.#sessions = new SessionServer({
      socketPath: this.socketPath,
      gid,
      services: [...services, ...this.#services.external.all],
      hello: { name: 'bridge', ...this.#names },
      limits: config.limits,
      log,
      calls,
      share,
      welcome: () =>
        // Messages that stand one after the other are one message.
        Buffer.concat([
          healthPush(this.#registry.health(), this.#services.filters.level),
          this.#services.subscriptionsPush(),
        ]),
      holdGreetings: true,
      onFilter: (filter) => this.#services.live.join(filter),
      onSessions: (open) => {
        if (open > 0) this.#services.events.noteSession();
        options.onSessions?.(open);
      },
      ...(options.onTakenOver === undefined ? {} : { onTakenOver: options.onTakenOver }),
    });
    this.#streams = new StreamServer({
      socketPath: streamsSocket(this.socketPath),
      gid,
      services,
      policy: this.#policy,
      appId: owner.appId,
      limits: config.limits,
      log,
      calls,
      share,
    });
    this.#pages = share === undefined ? new BridgePages(options, this) : undefined;
  }

  /**
   * Serves sessions, and opens the components in the background: a call to one that is not ready fails at once.
   * Filters are greeted after each component's first try, so that calls which waited for this bridge to come back
   * do not find a local store half open; a backend that takes long is not waited for.
   *
   * @throws SocketInUseError if another process answers on the socket; then nothing has been started
   * @throws AddressInUseError if the doors' address is another's
   */
  async start(): Promise<void> {
    await this.#listen(false);
    this.#startComponents();
    this.#services.events.start();
    const tried = this.firstTries(FIRST_TRIES_MS);
    void tried.then(() => this.#sessions.greet());
    this.#pages?.start();
    if (this.options.listen === undefined) return;
    await tried;
    try {
      await this.#openDoors(false);
    } catch (error) {
      await this.close();
      throw error;
    }
  }

  /**
   * The same, in the place of a bridge that answers on the socket: its components are opened beside the other's, then
   * new connections come here, and the other is asked to finish what it has in hand and go. Without another one it
   * just starts.
   */
  async takeOver(): Promise<void> {
    const { log } = this.options;
    this.#startComponents();
    await Promise.all([this.#registry.allReady(TAKE_OVER_MS), this.#loaded]);
    const predecessor = await Predecessor.find(this.socketPath);
    try {
      this.#sessions.greet();
      // Filters may be about to get another configuration too.
      this.#sessions.reconfigured(this.#names.configVersion);
      await this.#listen(true);
      this.#pages?.start(true);
      const refusal = await predecessor?.dismiss();
      if (refusal !== undefined) {
        log.warn({ reason: refusal }, 'the bridge before this one does not go by itself; end it');
      }
      this.#services.events.start();
      await this.#openDoors(true);
    } finally {
      predecessor?.close();
    }
  }

  /** What serves the doors is loaded only if they are asked for. @param replace a bridge that is about to end has them */
  async #openDoors(replace: boolean): Promise<void> {
    const { listen, catalog, version, log } = this.options;
    if (listen === undefined) return;
    const { openDoors } = await import('./doors.js');
    this.#doors = openDoors({
      address: listen,
      apiTokens: listen.apiTokens,
      policy: this.#policy,
      registry: this.#registry,
      catalog,
      version,
      config: () => this.#config,
      services: this.#services.all,
      own: () => this.#services.external.all,
      subscriptions: () => this.#services.events.subscriptions,
      log,
      calls: this.#calls,
    });
    await this.#doors.start(replace);
  }

  /** Resolves when each component was tried once to be opened, `limitMs` at most, and the services have been loaded. */
  async firstTries(limitMs: number): Promise<void> {
    await Promise.all([this.#registry.firstTries(limitMs), this.#loaded]);
  }

  /** Listens for streams first: filters send them from their first session on. */
  async #listen(replace: boolean): Promise<void> {
    await this.#streams.start(replace);
    try {
      await this.#sessions.start(replace);
    } catch (error) {
      await this.#streams.close();
      throw error;
    }
  }

  /**
   * Takes over another configuration while it serves, see `ComponentRegistry.apply`. Of the other settings it uses
   * only what filters are compared by: they must be ones it was started with, or that only filters heed.
   */
  async apply(config: RuntimeConfig, options: ApplyOptions): Promise<Applied[]> {
    const before = this.#config.components;
    this.#config = config;
    this.#backends.seats.use(config.policy?.limits ?? []);
    this.#policy.use(config);
    this.#services.events.use(config);
    this.options.secrets.addComponents(config.components);
    // What is removed is served as long as filters may ask for it.
    this.#services.external.use(options.removeOthers ? config.components : [...before, ...config.components]);
    this.#sessions.serve([...this.#services.all, ...this.#services.external.all]);
    const applied = await this.#registry.apply(config.components, options);
    // Another configuration may have come while this one was waited for.
    this.#reconfigured();
    return applied;
  }

  /** What the app may use, if the bridge is one of several. */
  get share(): AppShare | undefined {
    return this.options.share;
  }

  health(): ComponentHealth[] {
    return this.#registry.health();
  }

  /** Lets the calls in hand finish, `graceMs` at most, then closes everything. See `SessionServer.drain`. */
  async drain(graceMs: number): Promise<void> {
    // Whoever takes over needs the socket's name.
    await this.#pages?.close();
    const doors = this.#doors?.drain(graceMs);
    const events = this.#services.events.drain(graceMs);
    await Promise.all([this.#sessions.drain(graceMs), this.#streams.drain(graceMs), doors, events]);
    await this.#end();
  }

  /** Closes everything at once. */
  async close(): Promise<void> {
    const doors = this.#doors?.close();
    await Promise.all([this.#pages?.close(), this.#sessions.close(), this.#streams.close(), doors]);
    await this.#end();
  }

  /** Says by which configuration it serves: the one asked for last, with those components in it that are in use. */
  #reconfigured(): void {
    const components = this.#config.components.map(
      (wanted) => this.#registry.find(wanted.primitive, wanted.name)?.config ?? wanted,
    );
    this.#names.configVersion = configHash({ ...this.#config, components });
    this.#tellHealth();
    this.#sessions.reconfigured(this.#names.configVersion);
  }

  /** Tells filters where components stand, once for all that changes at a time. */
  #tellHealth(): void {
    if (this.#telling) return;
    this.#telling = true;
    setImmediate(() => {
      this.#telling = false;
      this.#sessions.push(healthPush(this.#registry.health()));
    });
  }

  #startComponents(): void {
    this.#registry.start();
    const primitives = this.#config.components.map(({ primitive }) => primitive);
    this.#loaded = this.#services.load(primitives).catch((error: unknown) => {
      this.options.log.error({ err: error }, 'a service cannot be loaded; its calls try again');
    });
    let renewing = false;
    this.#renewals = setInterval(() => {
      if (renewing) return;
      renewing = true;
      void this.#registry.renew().finally(() => (renewing = false));
    }, RENEW_EVERY_MS);
    this.#renewals.unref();
  }

  async #end(): Promise<void> {
    clearInterval(this.#renewals);
    this.#pages?.stop();
    this.#services.close();
    const noted = this.#services.pubsub.published.close();
    await Promise.all([this.#registry.close(), this.#spans?.close(LAST_SPANS_MS), noted]);
  }

  #state(): BridgeState {
    const sessions = this.#sessions;
    return {
      ...this.#names,
      sessions: sessions.open,
      operations: sessions.running,
      requestBytes: sessions.runningBytes,
      answerBytes: sessions.backlog,
      components: this.#history.of(this.#registry.health()),
      streams: this.#streams.open,
      endedStreams: this.#streams.ended,
      ...(this.#doors === undefined ? {} : { doors: this.#doors }),
      denials: this.#policy.denials,
      rateRefusals: this.#policy.rateRefusals,
      deliveries: this.#services.events.deliveries,
      publishing: this.#services.pubsub.latencies,
      lags: this.#services.events.lags,
      runs: this.#services.events.runs,
    };
  }

  /** What is told of it where metrics are asked for. */
  metrics(labels: Labels = {}): MetricsSource {
    return { labels, state: this.#state(), backends: this.#backends, spans: this.#spans };
  }

  /** Where it stands, as `/health` shows it. */
  report(): object {
    const { version, configVersion, sessions, operations, components } = this.#state();
    const { protocol, services, filters } = this.#sessions.offer;
    const { triggered } = this.#services.events;
    const offer = { version, configVersion, protocol, services };
    return { ...offer, sessions, filters, operations, components, triggered };
  }
}

function spanExporter({ config, version, log }: BridgeOptions): SpanExporter | undefined {
  if (config.tracing === undefined) return undefined;
  return new SpanExporter({ endpoint: config.tracing.otlp, service: config.app.id, version, log });
}
