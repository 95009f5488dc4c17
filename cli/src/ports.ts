import { createServer } from 'node:net';

import type { ListenAddress } from '../../components-bridge/src/config/types.js';
import { UserError } from './errors.js';

/**
 * Refuses a port that someone listens on already. Envoy itself would share it with another Envoy of the same user,
 * and calls would go to either.
 *
 * @param key of the configuration, where the address stands
 * @param advice what to do if it is taken
 * @throws UserError naming the port
 */
export async function expectFree({ host, port }: ListenAddress, key: string, advice: string): Promise<void> {
  const code = await tryToListen(host, port);
  if (code === undefined) return;
  if (code === 'EADDRINUSE') throw new UserError(`port ${port} on ${host} is taken: ${advice}`);
  if (code === 'EACCES')
    throw new UserError(`port ${port} on ${host} needs more rights than you have: ${advice}`);
  throw new UserError(`cannot listen on ${host} port ${port} (${code}): check ${key}`);
}

function tryToListen(host: string, port: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    server.listen({ host, port, exclusive: true }, () => server.close(() => resolve(undefined)));
  });
}
