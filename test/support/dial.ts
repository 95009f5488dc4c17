import { createConnection, type Socket } from 'node:net';

import type { Target } from './http1.js';

/** Connects; rejects if nobody listens. */
export function dial(target: Target): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket =
      'port' in target
        ? createConnection({ host: '127.0.0.1', port: target.port, noDelay: true })
        : createConnection({ path: target.socketPath });
    socket.once('error', reject);
    socket.once('connect', () => {
      socket.off('error', reject);
      // How a connection broke is of no interest: it is over, and `close` says so.
      socket.on('error', () => undefined);
      resolve(socket);
    });
  });
}
