import { connect as connectTcp, isIP } from 'node:net';
import type { Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';

import kafkajs from 'kafkajs';
import type { Admin, ISocketFactoryArgs, Kafka, KafkaConfig, LogEntry, SASLOptions } from 'kafkajs';
import type { Logger } from 'pino';

import type { ComponentContext } from '../../primitives/component.js';
import { BrokerError } from '../../primitives/pubsub/broker.js';
import { CallGate } from '../call-gate.js';
import { pemOf } from '../pem.js';
import { brokerError } from './failure.js';
import { authOf } from './metadata.js';
import type { KafkaMetadata } from './metadata.js';

const PORT = 9092;
const CALL_TIMEOUT_MS = 5_000;
const RETRY = { retries: 6, initialRetryTime: 50, maxRetryTime: 500 };
const KEEP_ALIVE_MS = 30_000;
/** Pause between two looks at the cluster; the end of a connection shortens it. */
const HEARTBEAT_MS = 2_000;
/** Pause between two tries to reach it again: doubled each time. */
const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 1_000;

/**
 * A Kafka cluster, as the broker uses it. The client has a connection to each broker that it needs, and makes new ones
 * as calls come; so the cluster is looked at now and then, and whenever a connection ends, to tell whether it is there.
 */
export class KafkaLink {
  readonly gate = new CallGate(brokerError);
  readonly #listeners = new Set<() => void>();
  #closed = false;
  #hurry: () => void = () => undefined;

  private constructor(
    readonly kafka: Kafka,
    readonly admin: Admin,
    private readonly context: ComponentContext,
  ) {}

  /** Connects. @throws BrokerError naming the addresses; then nothing is left open */
  static async open(metadata: KafkaMetadata, context: ComponentContext): Promise<KafkaLink> {
    const addresses = addressesOf(metadata);
    const sockets = new Set<() => void>();
    const config: KafkaConfig = {
      ...(await configOf(metadata, context)),
      brokers: addresses,
      socketFactory: (args) => {
        const socket = connected(args);
        socket.once('close', () => sockets.forEach((ended) => ended()));
        return socket;
      },
    };
    // A look at the cluster is to tell soon; others wait for a topic that was just created, or a leader that changes.
    const admin = new kafkajs.Kafka({ ...config, retry: { ...RETRY, retries: 1 } }).admin();
    const link = new KafkaLink(new kafkajs.Kafka({ ...config, retry: RETRY }), admin, context);
    try {
      await admin.connect();
      await admin.describeCluster();
    } catch (error) {
      await admin.disconnect().catch(() => undefined);
      const { kind, message } = brokerError(error);
      throw new BrokerError(kind, `${addresses.join(', ')}: ${message}${adviceFor(message, metadata)}`, {
        cause: error,
      });
    }
    sockets.add(() => link.#ended());
    void link.#watchOver(addresses.join(', '));
    return link;
  }

  /** Asks the cluster. @throws BrokerError */
  call<Result>(ask: () => Promise<Result>): Promise<Result> {
    return this.gate.call(ask);
  }

  /** Calls whenever the cluster is back. @returns what ends that */
  onBack(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#hurry();
    this.gate.shut('the component is closed');
    await this.admin.disconnect().catch(() => undefined);
  }

  async #watchOver(addresses: string): Promise<void> {
    let pause = HEARTBEAT_MS;
    for (;;) {
      await this.#pause(pause);
      if (this.#closed) return;
      const failure = await this.#look();
      if (this.#closed) return;
      const { lost } = this.gate;
      if (failure === undefined) {
        pause = HEARTBEAT_MS;
        if (lost !== undefined) this.#back();
      } else {
        pause = lost === undefined ? FIRST_PAUSE_MS : Math.min(2 * pause, LONGEST_PAUSE_MS);
        if (lost === undefined) this.#down(`${addresses}: ${failure}`);
      }
    }
  }

  /** A connection ended: looks soon whether the cluster is there. Tries to reach one that is not end like this, too. */
  #ended(): void {
    if (this.gate.lost === undefined) this.#hurry();
  }

  /** Why the cluster does not answer, undefined if it does. */
  async #look(): Promise<string | undefined> {
    try {
      await this.admin.describeCluster();
      return undefined;
    } catch (error) {
      return brokerError(error).message;
    }
  }

  #down(reason: string): void {
    this.gate.shut(reason);
    this.context.report('down', reason);
  }

  #back(): void {
    this.gate.open();
    this.context.report('ready');
    for (const listener of this.#listeners) listener();
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms).unref();
      this.#hurry = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}

export function addressesOf({ brokers = [] }: KafkaMetadata): string[] {
  return brokers.map(({ host, port = PORT }) =>
    host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`,
  );
}

function connected({ host, port, ssl, onConnect }: ISocketFactoryArgs): Socket {
  // Names are checked against certificates as they were given; an address has none to be sent.
  const server = isIP(host) === 0 ? { servername: host } : {};
  const socket = ssl
    ? connectTls({ host, port, ...server, ...ssl }, onConnect)
    : connectTcp({ host, port }, onConnect);
  return socket.setKeepAlive(true, KEEP_ALIVE_MS);
}

async function configOf(
  metadata: KafkaMetadata,
  { appId, log }: ComponentContext,
): Promise<Omit<KafkaConfig, 'brokers'>> {
  const timeout = metadata.timeout ?? CALL_TIMEOUT_MS;
  const auth = authOf(metadata);
  const tls = auth !== 'none' && !(auth === 'password' && metadata.disableTls === true);
  const [ca, cert, key] = await Promise.all(
    (['caCert', 'clientCert', 'clientKey'] as const).map((name) => pemOf(name, metadata[name])),
  );
  const { saslUsername = '', saslPassword = '', saslMechanism = 'plain', skipVerify } = metadata;
  const sasl: SASLOptions = { mechanism: saslMechanism, username: saslUsername, password: saslPassword };
  return {
    clientId: metadata.clientID || `layotto-${appId}`,
    connectionTimeout: timeout,
    authenticationTimeout: timeout,
    requestTimeout: timeout,
    enforceRequestTimeout: true,
    logLevel: kafkajs.logLevel.WARN,
    logCreator: () => (entry) => note(log, entry),
    ...(tls && {
      ssl: {
        ...(ca !== undefined && { ca }),
        ...(cert !== undefined && { cert }),
        ...(key !== undefined && { key }),
        ...(skipVerify === true && { rejectUnauthorized: false }),
      },
    }),
    ...(auth === 'password' && { sasl }),
  };
}

/** The client's own log, most of which is about things that it tries again. */
function note(log: Logger, { namespace, log: { message, error } }: LogEntry): void {
  log.debug({ client: namespace, ...(error !== undefined && { reason: String(error) }) }, message);
}

function adviceFor(reason: string, metadata: KafkaMetadata): string {
  const auth = authOf(metadata);
  if (/self[- ]signed|unable to (verify|get)|unknown ca/i.test(reason))
    return '; if a private CA signed the certificate, name it in caCert';
  if (/wrong version number|packet length too long/i.test(reason))
    return auth === 'password'
      ? '; if the port does not speak TLS, set disableTls'
      : '; does the port speak TLS?';
  if (auth === 'none' && /closed|ECONNRESET|timeout/i.test(reason))
    return '; if it asks for TLS or a password, set authType';
  return '';
}
