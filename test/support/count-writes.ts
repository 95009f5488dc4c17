import { Socket } from 'node:net';

type Writing = Record<'_write' | '_writev', (this: Socket, ...args: unknown[]) => unknown>;

/** How many writes to sockets with these ports at their other end a piece of work takes. */
export async function countWrites(ports: readonly number[], work: () => Promise<unknown>): Promise<number> {
  const prototype = Socket.prototype as unknown as Writing;
  const { _write, _writev } = prototype;
  let count = 0;
  const counted = (original: Writing['_write']): Writing['_write'] =>
    function (this: Socket, ...args) {
      if (ports.includes(this.remotePort ?? 0)) count++;
      return original.apply(this, args);
    };
  prototype._write = counted(_write);
  prototype._writev = counted(_writev);
  try {
    await work();
  } finally {
    Object.assign(prototype, { _write, _writev });
  }
  return count;
}
