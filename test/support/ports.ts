import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';

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

/** Several TCP ports on 127.0.0.1 that were free a moment ago, each another one. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer());
  try {
    return await Promise.all(
      servers.map(async (server) => {
        await new Promise<void>((resolve, reject) => {
          server.once('error', reject);
          server.listen(0, '127.0.0.1', resolve);
        });
        return (server.address() as AddressInfo).port;
      }),
    );
  } finally {
    for (const server of servers) server.close();
  }
}

/** A TCP port on 127.0.0.1 that was free a moment ago, and so was the one below it: metrics are there by default. */
export async function freePortWithMetrics(): Promise<number> {
  for (;;) {
    const port = await freePort();
    const below = createServer();
    const free = await new Promise<boolean>((resolve) => {
      below.once('error', () => resolve(false));
      below.listen(port - 1, '127.0.0.1', () => resolve(true));
    });
    if (!free) continue;
    await new Promise((resolve) => below.close(resolve));
    return port;
  }
}
