import { readFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';
import { fileURLToPath } from 'node:url';
import { createServer as createTlsServer } from 'node:tls';
import type { Server as TlsServer, TlsOptions } from 'node:tls';

/** Path of a file of `certificates/`. */
export function certificate(name: string): string {
  return fileURLToPath(new URL(`certificates/${name}`, import.meta.url));
}

/** What a file of `certificates/` holds. */
export function pem(name: string): string {
  return readFileSync(certificate(name), 'utf8');
}

export interface TlsFrontOptions {
  /** Whose certificate it shows: `server` by default. */
  as?: 'server' | 'elsewhere';
  /** Lets only clients in that have a certificate of the tests' authority. */
  clientCertificates?: boolean;
  /** Port to listen at; by default any. */
  port?: number;
  /** Lets those in as well that do not speak TLS. */
  plainToo?: boolean;
}

/** First byte of whoever speaks TLS. */
const HANDSHAKE = 0x16;

/** A server that speaks TLS, and passes what it hears on to a port that does not. */
export class TlsFront {
  readonly #plain: Server;
  readonly #tls: TlsServer;
  readonly #open = new Set<Socket>();

  private constructor(
    private readonly target: number,
    private readonly options: TlsFrontOptions,
  ) {
    const { as = 'server', clientCertificates = false } = options;
    const tls: TlsOptions = { cert: pem(`${as}.pem`), key: pem(`${as}.key`) };
    if (clientCertificates) Object.assign(tls, { requestCert: true, ca: pem('ca.pem') });
    this.#tls = createTlsServer(tls, (socket) => this.#join(socket));
    this.#tls.on('tlsClientError', () => undefined);
    this.#plain = createServer((socket) => this.#greet(socket));
  }

  static async start(target: number, options: TlsFrontOptions = {}): Promise<TlsFront> {
    const front = new TlsFront(target, options);
    await new Promise<void>((resolve) => front.#plain.listen(options.port ?? 0, '127.0.0.1', resolve));
    return front;
  }

  get port(): number {
    return (this.#plain.address() as AddressInfo).port;
  }

  async stop(): Promise<void> {
    for (const socket of this.#open) socket.destroy();
    await new Promise((resolve) => this.#plain.close(resolve));
  }

  /** Looks at the first byte, and hands the connection to whoever understands it. */
  #greet(socket: Socket): void {
    this.#track(socket);
    socket.once('readable', () => {
      const first = socket.read() as Buffer | null;
      if (first === null) return;
      socket.unshift(first);
      if (first[0] === HANDSHAKE || this.options.plainToo !== true) this.#tls.emit('connection', socket);
      else this.#join(socket);
    });
  }

  #join(near: Socket): void {
    const far = connect(this.target, '127.0.0.1');
    this.#track(near);
    this.#track(far);
    near.on('close', () => far.destroy());
    far.on('close', () => near.destroy());
    near.pipe(far);
    far.pipe(near);
  }

  #track(socket: Socket): void {
    this.#open.add(socket);
    socket.on('error', () => undefined);
    socket.on('close', () => this.#open.delete(socket));
  }
}
