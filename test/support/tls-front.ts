import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { fileURLToPath } from 'node:url';
import { createServer } from 'node:tls';
import type { Server, TlsOptions } from 'node:tls';

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
}

/** A server that speaks TLS, and passes what it hears on to a port that does not. */
export class TlsFront {
  readonly #server: Server;
  readonly #open = new Set<Socket>();
  /** Connections that were let in. */
  accepted = 0;

  private constructor(target: number, { as = 'server', clientCertificates = false }: TlsFrontOptions) {
    const options: TlsOptions = { cert: pem(`${as}.pem`), key: pem(`${as}.key`) };
    if (clientCertificates) Object.assign(options, { requestCert: true, ca: pem('ca.pem') });
    this.#server = createServer(options, (near) => {
      this.accepted++;
      const far = connect(target, '127.0.0.1');
      for (const socket of [near, far]) {
        this.#open.add(socket);
        socket.on('error', () => undefined);
        socket.on('close', () => {
          this.#open.delete(socket);
          near.destroy();
          far.destroy();
        });
      }
      near.pipe(far);
      far.pipe(near);
    });
    this.#server.on('tlsClientError', () => undefined);
  }

  static async start(target: number, options: TlsFrontOptions = {}): Promise<TlsFront> {
    const front = new TlsFront(target, options);
    await new Promise<void>((resolve) => front.#server.listen(options.port ?? 0, '127.0.0.1', resolve));
    return front;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  async stop(): Promise<void> {
    for (const socket of this.#open) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}
