import { createServer, type ServerHttp2Session, type ServerHttp2Stream } from 'node:http2';
import { rm } from 'node:fs/promises';
import { bridgeHello, decodeFrame, Kind, type Frame } from './frames.js';
import { grpcFrame } from './grpc-raw.js';
import type { BridgeStandIn } from './runtime.js';

/** One session as a scripted bridge sees it. */
export interface StandInSession {
  stream: ServerHttp2Stream;
  /** Sends one frame's bytes. */
  send(frame: Uint8Array): void;
}

/**
 * A bridge that greets every session and hands each frame that comes to `onFrame`, which may answer, late or
 * never.
 */
export async function scriptedBridge(
  socketPath: string,
  onFrame: (frame: Frame, session: StandInSession) => void,
): Promise<BridgeStandIn> {
  const sessions = new Set<ServerHttp2Session>();
  const server = createServer({ settings: { initialWindowSize: 16 * 1024 * 1024 } });
  server.on('session', (session) => {
    sessions.add(session);
    session.on('error', () => undefined);
    session.on('close', () => sessions.delete(session));
  });
  server.on('stream', (stream) => {
    stream.on('error', () => undefined);
    stream.respond({ ':status': 200, 'content-type': 'application/grpc' });
    const session: StandInSession = { stream, send: (frame) => void stream.write(grpcFrame(frame)) };
    session.send(bridgeHello());
    let rest = Buffer.alloc(0);
    stream.on('data', (chunk: Buffer) => {
      rest = Buffer.concat([rest, chunk]);
      while (rest.length >= 5 && rest.length >= 5 + rest.readUInt32BE(1)) {
        const end = 5 + rest.readUInt32BE(1);
        const frame = decodeFrame(rest.subarray(5, end));
        rest = rest.subarray(end);
        if (frame.kind !== Kind.HELLO) onFrame(frame, session);
      }
    });
  });
  await rm(socketPath, { force: true });
  await new Promise<void>((resolve) => server.listen(socketPath, resolve));
  return {
    stop: () =>
      new Promise((resolve) => {
        for (const session of sessions) session.destroy();
        server.close(() => resolve());
      }),
  };
}

/** A bridge that accepts sessions and requests, and never answers one. */
export function silentBridge(socketPath: string): Promise<BridgeStandIn> {
  return scriptedBridge(socketPath, () => undefined);
}
