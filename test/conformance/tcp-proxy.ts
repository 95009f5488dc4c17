import { connect, createServer } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';

/**
 * A TCP connection that a test can break: passes bytes on to a port, which may change, and can cut what is open,
 * refuse what comes, hold answers back, or keep from Redis' replicas what they are sent.
 */
export class TcpProxy {
  readonly #server: Server;
  readonly #open = new Set<Socket>();
  #holding = false;
  #starving = false;

  private constructor(private target: number) {
    this.#server = createServer((socket) => this.#join(socket));
  }

  static async start(target: number): Promise<TcpProxy> {
    const proxy = new TcpProxy(target);
    await new Promise<void>((resolve) => proxy.#server.listen(0, '127.0.0.1', resolve));
    return proxy;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Where new connections go; 0: they are closed at once. */
  pointAt(port: number): void {
    this.target = port;
  }

  /** Closes what is open. */
  cut(): void {
    for (const socket of this.#open) socket.destroy();
  }

  /** From now on answers do not come through, until `release`. */
  hold(): void {
    this.#holding = true;
    for (const socket of this.#open) socket.pause();
  }

  release(): void {
    this.#holding = false;
    for (const socket of this.#open) socket.resume();
  }

  /** From now on nothing that is sent to replicas arrives. */
  starveReplicas(): void {
    this.#starving = true;
  }

  async stop(): Promise<void> {
    this.cut();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #join(near: Socket): void {
    if (this.target === 0) {
      near.destroy();
      return;
    }
    const far = connect(this.target, '127.0.0.1');
    let replica = false;
    near.on('data', (chunk: Buffer) => (replica ||= chunk.includes('PSYNC')));
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      this.#open.add(from);
      from.on('data', (chunk) => {
        if (!(replica && this.#starving && from === far)) to.write(chunk);
      });
      from.on('error', () => undefined);
      from.on('close', () => {
        this.#open.delete(from);
        to.destroy();
      });
      if (this.#holding) from.pause();
    }
  }
}
