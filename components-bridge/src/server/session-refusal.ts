import type { IncomingHttpHeaders } from 'node:http2';

import { Code } from '../primitives/errors.js';
import type { AppShare } from './app-share.js';
import { TAKE_OVER_PATH } from './predecessor.js';
import { grpcMessage } from './stream.js';

const PATH = '/layotto.bridge.v1.Bridge/Session';

/** Headers of a stream that was opened at the sessions' socket. */
export type OpeningHeaders = IncomingHttpHeaders & { ':path'?: string };

/** How a server stands when a stream is opened. */
export interface Standing {
  socketPath: string;
  /** Another process listens in its place. */
  replaced: boolean;
  draining: boolean;
  /** Session streams that are open. */
  open: number;
  share?: AppShare | undefined;
}

/** The headers that answer a stream which is neither a session nor a request to go; undefined if it is one. */
export function refusalOf(
  headers: OpeningHeaders,
  { socketPath, replaced, draining, open, share }: Standing,
): Record<string, string | number> | undefined {
  const { ':path': path = '', 'content-type': type = '' } = headers;
  if (!/^application\/grpc($|[+;])/.test(type)) return { ':status': 415 };
  // A stream of HEAD would be over with its headers, and have no place for a status.
  if (headers[':method'] !== 'POST') return { ':status': 405, allow: 'POST' };
  if (path === TAKE_OVER_PATH)
    return replaced ? undefined : refused(Code.FAILED_PRECONDITION, `${socketPath} leads to this bridge`);
  if (path !== PATH)
    return refused(Code.UNIMPLEMENTED, `this socket serves ${PATH} only, not ${path.slice(0, 200)}`);
  if (draining) return refused(Code.UNAVAILABLE, 'the bridge is shutting down');
  if (share === undefined || open < share.limits.sessions) return undefined;
  share.refused('sessions');
  const message = `the app ${share.appId} has ${open} sessions on this node, and may have no more`;
  return refused(Code.RESOURCE_EXHAUSTED, message);
}

function refused(code: Code, message: string): Record<string, string | number> {
  return {
    ':status': 200,
    'content-type': 'application/grpc',
    'grpc-status': String(code),
    'grpc-message': grpcMessage(message),
  };
}
