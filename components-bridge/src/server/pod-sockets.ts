import { closeSync, constants, fstatSync, openSync, watch } from 'node:fs';
import type { FSWatcher, Stats } from 'node:fs';
import { lstat, readdir, rmdir, unlink } from 'node:fs/promises';
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import type { Logger } from 'pino';

import { appSocket } from '../config/sockets.js';
import { reasonOf } from '../primitives/errors.js';

/** Folders that are watched, and sockets that are dialled; a node has a few hundred pods at most. */
const MOST_PODS = 512;

/** What a pod's folder is called: the pod's name. */
const NAME = /^[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?$/;

/** How often is looked again, in milliseconds, whatever the watches have missed. */
const LOOK_EVERY_MS = 30_000;

/** Pauses between attempts on a socket that nobody listens on: doubled each time, and after so many given up. */
const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 60_000;
const MOST_TRIES = 16;

/** A folder in which nothing has changed for so long, of a pod that nobody has heard of, is one that is left over. */
const LEFT_OVER_MS = 7 * 24 * 3_600_000;

/** Linux's O_PATH, which Node has no name for: what is found there is held, and not opened. */
const O_PATH = 0o10000000;

export interface PodSocketsOptions {
  /** Holds a folder for each pod, in which the pod's sidecar makes its socket. */
  folder: string;
  log: Logger;
  /** A pod's sidecar takes deliveries. */
  onUp: (pod: string) => void;
  /** It does no longer. */
  onDown: (pod: string) => void;
  /** Whether a pod has a session, so that its folder is in use. */
  hasSession: (pod: string) => boolean;
}

interface Pod {
  /** Which socket it is: another one may come to stand in its place. */
  identity: string;
  up: boolean;
  tries: number;
  timer?: NodeJS.Timeout;
}

/**
 * The sockets on which the sidecars of an app's pods take deliveries. They come and go with pods, so their folders are
 * watched. What pods can write to is not trusted: a link is not followed, so a pod cannot have another's socket called.
 */
export class PodSockets {
  readonly #pods = new Map<string, Pod>();
  readonly #watches = new Map<string, FSWatcher>();
  #timer: NodeJS.Timeout | undefined;
  #looking = false;
  #again = false;
  #closed = false;

  constructor(private readonly options: PodSocketsOptions) {}

  start(): void {
    this.#timer = setInterval(() => void this.#look(), LOOK_EVERY_MS);
    this.#timer.unref();
    void this.#look();
  }

  /** Nobody has taken a connection there. */
  lost(name: string): void {
    const pod = this.#pods.get(name);
    if (pod?.up !== true) return;
    pod.up = false;
    pod.tries = 0;
    this.options.onDown(name);
    this.#later(name, pod);
  }

  close(): void {
    this.#closed = true;
    clearInterval(this.#timer);
    for (const watcher of this.#watches.values()) watcher.close();
    for (const { timer } of this.#pods.values()) clearTimeout(timer);
    this.#pods.clear();
  }

  /** Never throws. */
  async #look(): Promise<void> {
    if (this.#looking) {
      this.#again = true;
      return;
    }
    this.#looking = true;
    do {
      this.#again = false;
      try {
        await this.#find();
      } catch (error) {
        this.options.log.error({ err: error }, 'the folders of pods cannot be looked at');
      }
    } while (this.#again && !this.#closed);
    this.#looking = false;
  }

  async #find(): Promise<void> {
    const { folder } = this.options;
    // Before it is read, so that nothing is missed that comes meanwhile.
    this.#watch(folder);
    const names = (await readdir(folder).catch(() => [])).filter((name) => NAME.test(name));
    const found = new Map<string, Stats>();
    const folders = new Set<string>();
    for (const name of names) {
      const path = join(folder, name);
      const own = await lstat(path).catch(() => undefined);
      if (this.#closed) return;
      if (own?.isDirectory() !== true) continue;
      folders.add(path);
      this.#watch(path);
      const socket = await lstat(appSocket(path)).catch(() => undefined);
      if (socket?.isSocket() === true && found.size < MOST_PODS) found.set(name, socket);
      await this.#sweep(name, own);
    }
    if (this.#closed) return;
    for (const [path, watcher] of this.#watches) {
      if (path === folder || folders.has(path)) continue;
      watcher.close();
      this.#watches.delete(path);
    }
    for (const [name, pod] of this.#pods) if (!found.has(name)) this.#gone(name, pod);
    for (const [name, stats] of found) this.#seen(name, stats);
  }

  #seen(name: string, { ino, ctimeMs }: Stats): void {
    const identity = `${ino} ${ctimeMs}`;
    const known = this.#pods.get(name);
    if (known?.identity === identity) return;
    clearTimeout(known?.timer);
    const pod: Pod = { identity, up: known?.up ?? false, tries: 0 };
    this.#pods.set(name, pod);
    if (!pod.up) this.#dial(name, pod);
  }

  #gone(name: string, pod: Pod): void {
    clearTimeout(pod.timer);
    this.#pods.delete(name);
    if (pod.up) this.options.onDown(name);
  }

  /** Finds out whether somebody listens. */
  #dial(name: string, pod: Pod): void {
    let socket: Socket;
    try {
      socket = dialPod(this.options.folder, name);
    } catch {
      this.#later(name, pod);
      return;
    }
    socket.once('error', () => this.#later(name, pod));
    socket.once('connect', () => {
      socket.destroy();
      if (this.#pods.get(name) !== pod || this.#closed) return;
      pod.up = true;
      this.options.onUp(name);
    });
  }

  #later(name: string, pod: Pod): void {
    if (this.#pods.get(name) !== pod || this.#closed || pod.tries === MOST_TRIES) return;
    const pause = Math.min(FIRST_PAUSE_MS * 2 ** pod.tries++, LONGEST_PAUSE_MS);
    pod.timer = setTimeout(() => this.#dial(name, pod), pause);
    pod.timer.unref();
  }

  #watch(path: string): void {
    if (this.#watches.has(path) || this.#watches.size > MOST_PODS) return;
    try {
      const watcher = watch(path, { persistent: false }, () => void this.#look());
      watcher.on('error', () => undefined);
      this.#watches.set(path, watcher);
    } catch (error) {
      this.options.log.debug({ path, reason: reasonOf(error) }, 'a folder cannot be watched');
    }
  }

  /** The kubelet makes a pod's folder and leaves it there. */
  async #sweep(name: string, { mtimeMs }: Stats): Promise<void> {
    const { folder, hasSession } = this.options;
    if (Date.now() - mtimeMs < LEFT_OVER_MS || this.#pods.get(name)?.up === true || hasSession(name)) return;
    const path = join(folder, name);
    await unlink(appSocket(path)).catch(() => undefined);
    await rmdir(path).catch(() => undefined);
  }
}

/**
 * Connects to the socket of a pod, and never to one that a link leads to: what connects is the bridge, which may reach
 * every app's. By a descriptor, so that nothing can be put in its place between the look and the connection, and so that
 * the path may be longer than the name of a socket.
 *
 * @throws Error if there is no socket
 */
export function dialPod(folder: string, pod: string): Socket {
  const at = openSync(join(folder, pod), O_PATH | constants.O_DIRECTORY | constants.O_NOFOLLOW);
  let held: number;
  try {
    held = openSync(appSocket(`/proc/self/fd/${at}`), O_PATH | constants.O_NOFOLLOW);
  } finally {
    closeSync(at);
  }
  if (!fstatSync(held).isSocket()) {
    closeSync(held);
    throw new Error(`there is no socket in the folder of the pod ${pod}`);
  }
  const socket = connect(`/proc/self/fd/${held}`);
  let open = true;
  const release = (): void => {
    if (open) closeSync(held);
    open = false;
  };
  socket.once('connect', release);
  socket.once('close', release);
  return socket;
}
