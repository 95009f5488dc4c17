import { createServer } from 'node:net';

/**
 * A TCP port on `host` that was free a moment ago.
 *
 * The kernel hands ephemeral ports out in turn, so two calls close together do not get the same one.
 */
export function freePort(host = '127.0.0.1'): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, host, () => {
      const address = server.address();
      server.close(() => {
        if (address !== null && typeof address === 'object') resolve(address.port);
        else reject(new Error(`no port could be had on ${host}`));
      });
    });
  });
}
