import { createServer } from 'node:http2';
import type { Http2Server, ServerHttp2Session } from 'node:http2';

import type { AppShare } from './app-share.js';

/** HTTP/2 windows: a stream's, so that several messages of 4 MiB flow without waiting; and a connection's. */
const STREAM_WINDOW = 16 * 1024 * 1024;
const CONNECTION_WINDOW = 64 * 1024 * 1024;

/** The same where apps share the bridge: what an app sends and is not read is bounded by its number of connections. */
const SHARED_STREAM_WINDOW = 512 * 1024;
const SHARED_CONNECTION_WINDOW = 1024 * 1024;
/** Streams of a connection there. A filter has one. */
const SHARED_STREAMS = 8;
/** Connections beside those that carry the sessions an app may have: new ones come before old ones go. */
const SPARE_CONNECTIONS = 16;

/**
 * The HTTP/2 server of a session server, which does not listen yet.
 *
 * @param bytes that requests at work may have together
 * @param share of the app, where several share the bridge
 */
export function sessionHttp2(bytes: number, share: AppShare | undefined): Http2Server {
  const server = createServer({
    settings:
      share === undefined
        ? { initialWindowSize: STREAM_WINDOW, maxConcurrentStreams: 100 }
        : { initialWindowSize: SHARED_STREAM_WINDOW, maxConcurrentStreams: SHARED_STREAMS },
    maxSessionMemory: Math.ceil((2 * bytes) / (1024 * 1024)),
  });
  if (share !== undefined) server.maxConnections = share.limits.sessions + SPARE_CONNECTIONS;
  return server;
}

/** Sets how much may be on its way to us on a connection. */
export function openWindow(session: ServerHttp2Session, share: AppShare | undefined): void {
  session.setLocalWindowSize(share === undefined ? CONNECTION_WINDOW : SHARED_CONNECTION_WINDOW);
}
