import type {
  DescMessage,
  DescMethod,
  DescMethodBiDiStreaming,
  DescMethodUnary,
  MessageInitShape,
  MessageShape,
} from '@bufbuild/protobuf';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { Client, Metadata, status } from '@grpc/grpc-js';
import type { ChannelCredentials, ChannelOptions, ClientDuplexStream } from '@grpc/grpc-js';

import { Auth } from '../../gen/etcdserverpb/rpc_pb.js';
import { EtcdRefused, EtcdUnavailable, failureOf } from './failure.js';

/** How members are spoken to, with every default filled in and every file read. */
export interface MemberSettings {
  credentials: ChannelCredentials;
  tls: boolean;
  /** Name that certificates must hold; undefined: the host. */
  serverName: string | undefined;
  /** Undefined if the server asks for none. */
  user: { name: string; password: string } | undefined;
}

/** Largest answer, in bytes: of a page of keys, or of the events of one revision. */
const LARGEST_ANSWER = 64 * 1024 * 1024;

const NOT_AUTHENTICATED = /invalid auth token|revision of auth store is old/;

/** One member of an etcd cluster. */
export class EtcdMember {
  readonly #client: Client;
  /** The token of the user; undefined until one is needed. */
  #token: Promise<string> | undefined;

  /** @param address host:port */
  constructor(
    readonly address: string,
    private readonly settings: MemberSettings,
  ) {
    const options: ChannelOptions = {
      // A connection per component: what one does to it is not felt by another.
      'grpc.use_local_subchannel_pool': 1,
      'grpc.service_config_disable_resolution': 1,
      // Backends are reached directly, whatever proxy the environment names for the web.
      'grpc.enable_http_proxy': 0,
      'grpc.initial_reconnect_backoff_ms': 100,
      'grpc.min_reconnect_backoff_ms': 100,
      'grpc.max_reconnect_backoff_ms': 1_000,
      'grpc.max_receive_message_length': LARGEST_ANSWER,
      'grpc.max_send_message_length': LARGEST_ANSWER,
    };
    if (settings.serverName !== undefined) options['grpc.ssl_target_name_override'] = settings.serverName;
    this.#client = new Client(`dns:${address}`, settings.credentials, options);
  }

  /**
   * Asks, and never asks again what may have been done.
   *
   * @param deadline of the answer, on the clock of `Date`
   * @throws EtcdUnavailable or EtcdRefused
   */
  async call<Request extends DescMessage, Response extends DescMessage>(
    method: DescMethodUnary<Request, Response>,
    request: MessageInitShape<Request>,
    deadline: number,
  ): Promise<MessageShape<Response>> {
    if (this.settings.user === undefined) return this.#unary(method, request, deadline, new Metadata());
    try {
      return await this.#unary(method, request, deadline, await this.#authenticated(deadline));
    } catch (error) {
      // Tokens end after some minutes without calls, and when the server starts anew; nothing was done then.
      if (!(error instanceof EtcdRefused) || !NOT_AUTHENTICATED.test(error.message)) throw error;
      this.#token = undefined;
      return this.#unary(method, request, deadline, await this.#authenticated(deadline));
    }
  }

  /**
   * Opens a stream. It ends with an `error` event, whose failure `streamFailure` tells.
   *
   * @param deadline for what has to be done before, on the clock of `Date`
   */
  async stream<Request extends DescMessage, Response extends DescMessage>(
    method: DescMethodBiDiStreaming<Request, Response>,
    deadline: number,
  ): Promise<ClientDuplexStream<MessageInitShape<Request>, MessageShape<Response>>> {
    const metadata = this.settings.user === undefined ? new Metadata() : await this.#authenticated(deadline);
    return this.#client.makeBidiStreamRequest<MessageInitShape<Request>, MessageShape<Response>>(
      pathOf(method),
      (message) => Buffer.from(toBinary(method.input, create(method.input, message))),
      (bytes) => fromBinary(method.output, bytes),
      metadata,
    );
  }

  /** What the `error` event of a stream means. */
  streamFailure(error: unknown): EtcdUnavailable | EtcdRefused {
    const { code = status.UNKNOWN, details = String(error) } = error as { code?: number; details?: string };
    const failure = failureOf({ code, details }, this.address, this.settings.tls);
    if (failure instanceof EtcdRefused && NOT_AUTHENTICATED.test(failure.message)) this.#token = undefined;
    return failure;
  }

  close(): void {
    this.#client.close();
  }

  async #authenticated(deadline: number): Promise<Metadata> {
    this.#token ??= this.#authenticate(deadline);
    const token = this.#token;
    const metadata = new Metadata();
    try {
      metadata.set('token', await token);
    } catch (error) {
      if (this.#token === token) this.#token = undefined;
      throw error;
    }
    return metadata;
  }

  async #authenticate(deadline: number): Promise<string> {
    const { name = '', password = '' } = this.settings.user ?? {};
    const request = { name, password };
    return (await this.#unary(Auth.method.authenticate, request, deadline, new Metadata())).token;
  }

  #unary<Request extends DescMessage, Response extends DescMessage>(
    method: DescMethodUnary<Request, Response>,
    request: MessageInitShape<Request>,
    deadline: number,
    metadata: Metadata,
  ): Promise<MessageShape<Response>> {
    return new Promise((resolve, reject) => {
      this.#client.makeUnaryRequest(
        pathOf(method),
        (message: MessageInitShape<Request>) =>
          Buffer.from(toBinary(method.input, create(method.input, message))),
        (bytes: Buffer) => fromBinary(method.output, bytes),
        request,
        metadata,
        { deadline },
        (error, answer) => {
          if (error !== null) reject(failureOf(error, this.address, this.settings.tls));
          else if (answer === undefined) reject(new EtcdUnavailable(`${this.address}: an empty answer`));
          else resolve(answer);
        },
      );
    });
  }
}

function pathOf(method: DescMethod): string {
  return `/${method.parent.typeName}/${method.name}`;
}
