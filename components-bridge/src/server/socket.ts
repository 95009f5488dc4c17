import { randomBytes } from 'node:crypto';
import { lstatSync, unlinkSync } from 'node:fs';
import type { Stats } from 'node:fs';
import { chmod, lchown, link, lstat, mkdir, rename, unlink } from 'node:fs/promises';
import { connect } from 'node:net';
import type { Server } from 'node:net';
import { dirname, join } from 'node:path';

/** Somebody listens on the socket already. */
export class SocketInUseError extends Error {
  override name = 'SocketInUseError';
}

/** Another process listens on an address already. */
export class AddressInUseError extends Error {
  override name = 'AddressInUseError';
}

/** Who may connect to a socket. */
export interface SocketAccess {
  /** Group that may connect, besides the owner: mode 0660. Undefined: the owner only, 0600. */
  gid?: number | undefined;
}

/** A socket that a server of this process listens on. */
export class OwnSocket {
  constructor(
    readonly path: string,
    private readonly made: Stats,
  ) {}

  /** Whether the path leads to a socket of another process now. */
  get replaced(): boolean {
    const found = this.#found();
    return found !== undefined && !this.#isMine(found);
  }

  /** Removes it, if it has not been replaced. */
  remove(): void {
    const found = this.#found();
    if (found !== undefined && this.#isMine(found)) unlinkSync(this.path);
  }

  #found(): Stats | undefined {
    return lstatSync(this.path, { throwIfNoEntry: false });
  }

  #isMine({ dev, ino }: Stats): boolean {
    return dev === this.made.dev && ino === this.made.ino;
  }
}

/**
 * Listens on a Unix socket. It is made under another name beside the path and gets its own when all is right, so no
 * connection is refused while one takes the place of another, and none comes before its mode is set. The server
 * knows it by the other name, so closing the server does not remove it: that is left to `OwnSocket.remove`.
 *
 * A socket file that nobody answers on is left from a process that died, and is replaced.
 *
 * @param replace take the place of a socket that somebody answers on
 * @throws SocketInUseError if somebody answers on it; Error if something else is in its place
 */
export async function listenOnSocket(
  server: Server,
  path: string,
  { gid, replace = false }: SocketAccess & { replace?: boolean } = {},
): Promise<OwnSocket> {
  await mkdir(dirname(path), { recursive: true });
  await makeRoom(path, replace);
  // No longer than a path that fits: the name of a socket is bounded.
  const made = join(dirname(path), `.${randomBytes(4).toString('hex')}`);
  await listen(server, made);
  try {
    if (gid !== undefined) {
      // Of what stands there and not of what it leads to: somebody else may be able to write to the folder.
      await lchown(made, -1, gid);
      await chmod(made, 0o660);
    }
    const stats = await lstat(made);
    if (replace) await rename(made, path);
    else await giveName(made, path);
    return new OwnSocket(path, stats);
  } catch (error) {
    // Closing removes what was made.
    await new Promise((resolve) => server.close(resolve));
    throw error;
  }
}

async function listen(server: Server, path: string): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    // The socket is made inside listen(); no other process may connect before its mode is right.
    const before = process.umask(0o177);
    try {
      server.listen(path, () => {
        server.off('error', reject);
        resolve();
      });
    } finally {
      process.umask(before);
    }
  });
}

/** Of two that do this at the same time one succeeds. */
async function giveName(made: string, path: string): Promise<void> {
  try {
    await link(made, path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST') throw inUse(path);
    // A file system without hard links.
    if (code !== 'EPERM' && code !== 'ENOTSUP' && code !== 'EOPNOTSUPP') throw error;
    await rename(made, path);
    return;
  }
  await unlink(made);
}

async function makeRoom(path: string, replace: boolean): Promise<void> {
  const found = await lstat(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  if (found === undefined) return;
  if (!found.isSocket())
    throw new Error(`${path} is not a socket; remove it, or choose another with --socket`);
  if (replace) return;
  if (await answers(path)) throw inUse(path);
  await unlink(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error;
  });
}

function inUse(path: string): SocketInUseError {
  return new SocketInUseError(
    `another bridge answers on ${path}; stop it, replace it with --takeover, or choose another data folder or --socket`,
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
