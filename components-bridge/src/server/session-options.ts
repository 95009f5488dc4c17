import type { Logger } from 'pino';

import type { Service } from '../primitives/handler.js';
import type { AppShare } from './app-share.js';
import type { CallWatch } from './calls.js';
import type { BridgeFacts } from './greeting.js';
import type { SocketAccess } from './socket.js';

export interface SessionServerOptions extends SocketAccess {
  socketPath: string;
  services: readonly Service[];
  /** What the bridge says of itself. */
  hello: BridgeFacts;
  limits: { messageBytes: number; operations: number; bytes: number };
  log: Logger;
  /** Follows the calls; by default it only logs those that failed. */
  calls?: CallWatch;
  /** The app that the socket belongs to, if the bridge serves others too. By default any app's filters are served. */
  share?: AppShare | undefined;
  /** A Push message for each filter that comes; by default none. */
  welcome?: () => Uint8Array;
  /** Sends no hello before `greet` is called: a filter sends no calls until it has one. */
  holdGreetings?: boolean;
  /** Told how many session streams are open, when that changes. */
  onSessions?: (open: number) => void;
  /** A filter has come that can be told something unasked. It returns what is to be called when that has gone. */
  onFilter?: (filter: FilterOutlet) => () => void;
  /** Told when another bridge listens in this one's place and asks it to go; it should `drain` then. */
  onTakenOver?: () => void;
}

/** Where one filter is told something unasked. */
export interface FilterOutlet {
  /** See `Pair.push`. @param payload a Push message */
  push(payload: Uint8Array): void;
  /** Bytes that the filter has not taken. */
  readonly backlog: number;
}
