import { createServer } from 'node:net';

import { freePort, freePorts } from '../../tools/free-port.mjs';

export { freePort, freePorts };

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
