import { credentials } from '@grpc/grpc-js';
import type { ChannelCredentials, ClientDuplexStream } from '@grpc/grpc-js';
import type {
  DescMessage,
  DescMethodBiDiStreaming,
  DescMethodUnary,
  MessageInitShape,
  MessageShape,
} from '@bufbuild/protobuf';

import { KV } from '../../gen/etcdserverpb/rpc_pb.js';
import type { BackendPlace, ComponentContext } from '../../primitives/component.js';
import { reasonOf } from '../../primitives/errors.js';
import { pemOf } from '../pem.js';
import { EtcdRefused, EtcdUnavailable } from './failure.js';
import { EtcdMember } from './member.js';
import type { MemberSettings } from './member.js';
import { speaksTls } from './metadata.js';
import type { EtcdConnectionMetadata } from './metadata.js';

const PORT = 2379;
const DIAL_TIMEOUT_MS = 5_000;
const CALL_TIMEOUT_MS = 3_000;
/** Pause between two looks at the member in use. */
const HEARTBEAT_MS = 1_000;
/** Pause between two searches for a member that answers: doubled each time, with jitter. */
const FIRST_PAUSE_MS = 50;
const LONGEST_PAUSE_MS = 1_000;

/** A key that is looked at to see whether a member answers and has a leader; whether it is there does not matter. */
const HEALTH_KEY = Buffer.from('health');

/** A stream, and the member it goes to. */
export interface EtcdStream<Request extends DescMessage, Response extends DescMessage> {
  stream: ClientDuplexStream<MessageInitShape<Request>, MessageShape<Response>>;
  failureOf(error: unknown): EtcdUnavailable | EtcdRefused;
}

/**
 * An etcd cluster, as primitives use it: one member at a time, another one when that does not answer.
 *
 * Calls are never queued and never repeated. A member is lost when a call finds it so or when it has not answered a
 * look at it; then the component is down, and members are looked for in the background until one answers.
 */
export class EtcdConnection {
  #current: EtcdMember;
  #opened = false;
  #down = false;
  /** Since when the member in use has answered, on the clock of `performance`. */
  #since = performance.now();
  #closed = false;
  #hurry: () => void = () => undefined;

  private constructor(
    private readonly members: readonly EtcdMember[],
    private readonly timeoutMs: number,
    private readonly context: ComponentContext,
  ) {
    const [first] = members;
    if (first === undefined) throw new Error('endpoints: expected host:port');
    this.#current = first;
  }

  /**
   * Connects to the first member that answers.
   *
   * @throws Error naming every address and what happened there; then nothing is left open
   */
  static async open(metadata: EtcdConnectionMetadata, context: ComponentContext): Promise<EtcdConnection> {
    const settings = await settingsOf(metadata);
    const addresses = (metadata.endpoints ?? []).map(({ host, port = PORT }) =>
      host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`,
    );
    const members = addresses.map((address) => new EtcdMember(address, settings));
    const connection = new EtcdConnection(members, metadata.timeout ?? CALL_TIMEOUT_MS, context);
    try {
      connection.#current = await connection.#find(metadata.dialTimeout ?? DIAL_TIMEOUT_MS);
    } catch (error) {
      connection.close();
      throw error;
    }
    connection.#opened = true;
    void connection.#watchOver();
    return connection;
  }

  /** Where a cluster with one address is, for traces. */
  static place({ endpoints = [] }: EtcdConnectionMetadata): BackendPlace {
    const [{ host, port = PORT } = { host: '' }] = endpoints;
    return { system: 'etcd', address: host, port };
  }

  /**
   * Asks the member in use.
   *
   * @throws EtcdUnavailable: whether it was done is not known; or EtcdRefused: it was not
   */
  async call<Request extends DescMessage, Response extends DescMessage>(
    method: DescMethodUnary<Request, Response>,
    request: MessageInitShape<Request>,
  ): Promise<MessageShape<Response>> {
    const started = performance.now();
    try {
      return await this.#current.call(method, request, Date.now() + this.timeoutMs);
    } catch (error) {
      if (error instanceof EtcdUnavailable) this.#lost(error.message, started);
      throw error;
    }
  }

  /** Opens a stream to the member in use. @throws as `call` */
  async stream<Request extends DescMessage, Response extends DescMessage>(
    method: DescMethodBiDiStreaming<Request, Response>,
  ): Promise<EtcdStream<Request, Response>> {
    const member = this.#current;
    const stream = await member.stream(method, Date.now() + this.timeoutMs);
    return { stream, failureOf: (error) => member.streamFailure(error) };
  }

  close(): void {
    this.#closed = true;
    this.#hurry();
    for (const member of this.members) member.close();
  }

  /** A call that started then failed. One that is older than the present connection says nothing of it. */
  #lost(reason: string, started: number): void {
    if (this.#down || started < this.#since) return;
    this.#report(reason);
    this.#hurry();
  }

  async #watchOver(): Promise<void> {
    while (!this.#closed) {
      await this.#pause(HEARTBEAT_MS);
      const started = performance.now();
      const failure = this.#down ? undefined : await look(this.#current, this.timeoutMs);
      if (failure !== undefined) this.#lost(failure, started);
      if (this.#down) await this.#search();
    }
  }

  /** Looks for a member that answers until there is one. */
  async #search(): Promise<void> {
    let pause = FIRST_PAUSE_MS;
    while (!this.#closed) {
      try {
        this.#current = await this.#find(this.timeoutMs);
        this.#since = performance.now();
        this.#report(undefined);
        return;
      } catch (error) {
        this.#report(reasonOf(error));
      }
      await this.#pause(pause * (0.75 + Math.random() / 2));
      pause = Math.min(2 * pause, LONGEST_PAUSE_MS);
    }
  }

  /** The first member to answer. @throws Error naming every address and what happened there */
  async #find(timeoutMs: number): Promise<EtcdMember> {
    const tries = this.members.map(async (member) => {
      const failure = await look(member, timeoutMs);
      if (failure !== undefined) throw new Error(failure);
      return member;
    });
    try {
      return await Promise.any(tries);
    } catch (error) {
      throw new EtcdUnavailable(reasonOf(new AggregateError((error as AggregateError).errors)));
    }
  }

  #report(failure: string | undefined): void {
    if (this.#closed || !this.#opened) return;
    if (failure !== undefined) this.context.report('down', failure);
    else this.context.report('ready');
    this.#down = failure !== undefined;
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      timer.unref();
      this.#hurry = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}

/** Looks whether a member answers for the cluster. Resolves to why it does not, or to undefined. */
async function look(member: EtcdMember, timeoutMs: number): Promise<string | undefined> {
  try {
    await member.call(KV.method.range, { key: HEALTH_KEY, keysOnly: true }, Date.now() + timeoutMs);
    return undefined;
  } catch (error) {
    if (!(error instanceof EtcdRefused)) return reasonOf(error);
    // A user that may not look at this key was let in.
    if (/permission denied/.test(error.message)) return undefined;
    const advice = /user name is empty/.test(error.message) ? '; set username and password' : '';
    return `${member.address}: ${error.message}${advice}`;
  }
}

async function settingsOf(metadata: EtcdConnectionMetadata): Promise<MemberSettings> {
  const tls = speaksTls(metadata);
  const { username: name, password = '' } = metadata;
  return {
    tls,
    credentials: tls ? await tlsCredentials(metadata) : credentials.createInsecure(),
    serverName: metadata.tlsServerName || undefined,
    user: name ? { name, password } : undefined,
  };
}

async function tlsCredentials(metadata: EtcdConnectionMetadata): Promise<ChannelCredentials> {
  const [ca, cert, key] = await Promise.all(
    (
      [
        ['ca', 'tlsCa'],
        ['cert', 'tlsCert'],
        ['key', 'tlsCertKey'],
      ] as const
    ).map(async ([name, other]) => {
      const given = metadata[name] ? name : other;
      const text = await pemOf(given, metadata[given]);
      return text === undefined ? null : Buffer.from(text);
    }),
  );
  return credentials.createSsl(ca ?? null, key ?? null, cert ?? null);
}
