import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import type { JetStreamClient, JetStreamManager } from '@nats-io/jetstream';
import { connect, errors, jwtAuthenticator } from '@nats-io/transport-node';
import type { NatsConnection, NodeConnectionOptions } from '@nats-io/transport-node';

import type { ComponentContext } from '../../primitives/component.js';
import { reasonOf } from '../../primitives/errors.js';
import { BrokerError } from '../../primitives/pubsub/broker.js';
import { CallGate } from '../call-gate.js';
import { pemOf } from '../pem.js';
import { brokerError, isUnheard } from './failure.js';
import type { NatsMetadata } from './metadata.js';

const CALL_TIMEOUT_MS = 5_000;
/** A server that hangs is noticed after two such looks at it without an answer. */
const PING_MS = 2_000;
const PINGS_OUT = 2;
const RECONNECT_MS = 200;
/** Pause between two questions whether JetStream is there, after its server came back. */
const SETTLE_MS = 100;

/**
 * The connection to NATS, as the broker uses it. The client connects again by itself; while it is away calls fail at
 * once, and so do those that were on their way: whether these were done is not known.
 */
export class NatsLink {
  readonly #gate = new CallGate(brokerError);
  /** Counts changes of the connection, so that what waits for one can see that it is out of date. */
  #turn = 0;
  #closed = false;
  readonly #listeners = new Set<() => void>();

  private constructor(
    readonly connection: NatsConnection,
    readonly jetStream: JetStreamClient,
    readonly manager: JetStreamManager,
    readonly timeoutMs: number,
    private readonly context: ComponentContext,
  ) {}

  /** Connects, and looks whether JetStream is there. @throws Error that says why not; then nothing is left open */
  static async open(metadata: NatsMetadata, context: ComponentContext): Promise<NatsLink> {
    const timeout = metadata.timeout ?? CALL_TIMEOUT_MS;
    const connection = await connected(await optionsOf(metadata, context.appId, timeout));
    try {
      const { domain, apiPrefix } = metadata;
      const options = { timeout, ...(domain && { domain }), ...(apiPrefix && { apiPrefix }) };
      const manager = await jetstreamManager(connection, { ...options, checkAPI: false });
      const link = new NatsLink(connection, jetstream(connection, options), manager, timeout, context);
      await link.#look();
      void link.#watch();
      return link;
    } catch (error) {
      await connection.close();
      throw error;
    }
  }

  /** Why calls fail at present; undefined if they do not. */
  get lost(): string | undefined {
    return this.#gate.lost;
  }

  /** Where it is connected to. */
  get server(): string {
    return this.connection.getServer();
  }

  /** Asks the server. @throws BrokerError */
  call<Result>(ask: () => Promise<Result>): Promise<Result> {
    return this.#gate.call(ask);
  }

  /** Calls whenever the connection is back. @returns what ends that */
  onBack(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#gate.shut('the component is closed');
    await this.connection.close();
  }

  /** @throws BrokerError if JetStream is not there */
  async #look(): Promise<void> {
    try {
      await this.manager.getAccountInfo();
    } catch (error) {
      // A user that may not ask this may do all the rest.
      if (error instanceof errors.PermissionViolationError) return;
      if (isUnheard(error))
        throw new BrokerError(
          'unavailable',
          `${this.server}: JetStream is not enabled; start the server with -js`,
          { cause: error },
        );
      throw brokerError(error);
    }
  }

  async #watch(): Promise<void> {
    for await (const status of this.connection.status()) {
      if (this.#closed) return;
      if (status.type === 'disconnect') this.#down(`${status.server}: the connection was lost`);
      else if (status.type === 'reconnect') void this.#settle();
      else if (status.type === 'error') this.context.log.warn({ reason: reasonOf(status.error) }, 'NATS');
    }
  }

  /** Connected again: waits until JetStream is there, too. */
  async #settle(): Promise<void> {
    const turn = ++this.#turn;
    for (let settled = false; !settled;) {
      settled = await this.#look().then(
        () => true,
        () => false,
      );
      if (!settled) await new Promise((resolve) => setTimeout(resolve, SETTLE_MS).unref());
      if (this.#closed || turn !== this.#turn) return;
    }
    this.#gate.open();
    this.context.report('ready');
    for (const listener of this.#listeners) listener();
  }

  #down(reason: string): void {
    this.#turn++;
    this.#gate.shut(reason);
    this.context.report('down', reason);
  }
}

async function connected(options: NodeConnectionOptions): Promise<NatsConnection> {
  try {
    return await connect(options);
  } catch (error) {
    const where = [options.servers].flat().join(', ');
    const advice = /TLS|tls|certificate|self-signed/.test(reasonOf(error))
      ? '; check tls:// in natsURL, tls_ca_cert, tls_client_cert and tls_client_key'
      : '';
    throw new BrokerError('unavailable', `${where}: ${reasonOf(error)}${advice}`, { cause: error });
  }
}

async function optionsOf(
  metadata: NatsMetadata,
  appId: string,
  timeout: number,
): Promise<NodeConnectionOptions> {
  const { natsURL, jwt, seedKey, token } = metadata;
  const [ca, cert, key] = await Promise.all(
    (['tls_ca_cert', 'tls_client_cert', 'tls_client_key'] as const).map((name) =>
      pemOf(name, metadata[name]),
    ),
  );
  const tls = natsURL?.tls === true || ca !== undefined || cert !== undefined;
  return {
    servers: natsURL?.addresses ?? [],
    name: metadata.name || `layotto ${appId}`,
    timeout,
    pingInterval: PING_MS,
    maxPingOut: PINGS_OUT,
    maxReconnectAttempts: -1,
    reconnectTimeWait: RECONNECT_MS,
    // A password that is changed on the server is no reason to give up for good.
    ignoreAuthErrorAbort: true,
    ...(tls && { tls: { ...(ca && { ca }), ...(cert && { cert }), ...(key && { key }) } }),
    ...(natsURL?.user !== undefined && natsURL.password === undefined && { token: natsURL.user }),
    ...(natsURL?.user !== undefined &&
      natsURL.password !== undefined && { user: natsURL.user, pass: natsURL.password }),
    ...(token && { token }),
    ...(jwt && seedKey && { authenticator: jwtAuthenticator(jwt, new TextEncoder().encode(seedKey)) }),
  };
}
