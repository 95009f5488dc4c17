import { chmod, chown, lstat, mkdir, unlink } from 'node:fs/promises';
import { connect } from 'node:net';
import type { Server } from 'node:net';
import { dirname } from 'node:path';

/** Somebody listens on the socket already. */
export class SocketInUseError extends Error {
  override name = 'SocketInUseError';
}

/** Who may connect to a socket. */
export interface SocketAccess {
  /** Group that may connect, besides the owner: mode 0660. Undefined: the owner only, 0600. */
  gid?: number | undefined;
}

/**
 * Listens on a Unix socket. A socket file that nobody answers on is left from a process that died, and is replaced.
 *
 * @throws SocketInUseError if somebody answers on it; Error if something else is in its place
 */
export async function listenOnSocket(
  server: Server,
  path: string,
  { gid }: SocketAccess = {},
): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await makeRoom(path);
  await new Promise<void>((resolve, reject) => {
    const failed = (error: NodeJS.ErrnoException): void => {
      reject(error.code === 'EADDRINUSE' ? inUse(path) : error);
    };
    server.once('error', failed);
    // The socket is made inside listen(); no other process may connect before its mode is right.
    const before = process.umask(0o177);
    try {
      server.listen(path, () => {
        server.off('error', failed);
        resolve();
      });
    } finally {
      process.umask(before);
    }
  });
  if (gid === undefined) return;
  await chown(path, -1, gid);
  await chmod(path, 0o660);
}

async function makeRoom(path: string): Promise<void> {
  const found = await lstat(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  if (found === undefined) return;
  if (!found.isSocket())
    throw new Error(`${path} is not a socket; remove it, or choose another with --socket`);
  if (await answers(path)) throw inUse(path);
  await unlink(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error;
  });
}

function inUse(path: string): SocketInUseError {
  return new SocketInUseError(
    `another bridge answers on ${path}; stop it, or choose another data folder or --socket`,
  );
}

/** False only if it is certain that nobody listens. */
function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', (error: NodeJS.ErrnoException) => {
      resolve(error.code !== 'ECONNREFUSED' && error.code !== 'ENOENT');
    });
  });
}
