import { connect } from 'node:http2';
import type { ClientHttp2Session, IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2';
import { createConnection } from 'node:net';

import { reasonOf } from '../primitives/errors.js';

/** The method by which a bridge is told that another one listens in its place. */
export const TAKE_OVER_PATH = '/layotto.bridge.v1.Bridge/TakeOver';

/** An empty message, as gRPC frames it. */
const EMPTY_MESSAGE = Buffer.alloc(5);

/** How long each step with the predecessor may take. One that hangs is left to whoever started it. */
const STEP_MS = 2_000;

/** The bridge that answered on a socket before this one, by a connection made while the path still led to it. */
export class Predecessor {
  private constructor(private readonly connection: ClientHttp2Session) {}

  /** Connects to whoever answers on the socket; undefined if nobody does. */
  static async find(path: string): Promise<Predecessor | undefined> {
    const connection = connect('http://localhost', { createConnection: () => createConnection(path) });
    const found = await within<boolean>((resolve) => {
      connection.once('connect', () => resolve(true));
      connection.on('error', () => resolve(false));
    });
    if (found === true) return new Predecessor(connection);
    connection.destroy();
    return undefined;
  }

  /**
   * Tells it that its place is taken. It has agreed when this resolves with nothing; it then goes by itself.
   *
   * @returns why it does not go
   */
  async dismiss(): Promise<string | undefined> {
    try {
      const answer = await within<string>((resolve) => {
        const stream = this.connection.request({
          ':method': 'POST',
          ':path': TAKE_OVER_PATH,
          'content-type': 'application/grpc',
          te: 'trailers',
        });
        const look = (headers: IncomingHttpHeaders): void => {
          const status = headers['grpc-status'];
          if (status === undefined) return;
          const message = String(headers['grpc-message'] ?? `gRPC status ${String(status)}`);
          resolve(status === '0' ? '' : `it refused: ${message}`);
        };
        stream.on('response', look);
        stream.on('trailers', look);
        stream.on('error', (error) => resolve(reasonOf(error)));
        stream.on('close', () => resolve('it closed the connection'));
        stream.resume();
        stream.end(EMPTY_MESSAGE);
      });
      return answer === '' ? undefined : (answer ?? 'it did not answer');
    } catch (error) {
      return reasonOf(error);
    }
  }

  close(): void {
    this.connection.destroy();
  }
}

/** As the predecessor: agrees to go. */
export function agreeToGo(stream: ServerHttp2Stream): void {
  stream.on('error', () => undefined);
  stream.resume();
  stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
  stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
  stream.end(EMPTY_MESSAGE);
}

/** What is resolved with in time, else undefined. */
async function within<Value>(begin: (resolve: (value: Value) => void) => void): Promise<Value | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const answer = await new Promise<Value | undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), STEP_MS);
    begin(resolve);
  });
  clearTimeout(timer);
  return answer;
}
