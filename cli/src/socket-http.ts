import { request } from 'node:http';

/** An HTTP answer. */
export interface SocketAnswer {
  status: number;
  body: string;
}

/**
 * Asks an HTTP server on a Unix socket.
 *
 * @param timeoutMs how long it may be silent
 * @returns undefined if nobody answers
 */
export function askSocket(
  socketPath: string,
  path: string,
  { method = 'GET', timeoutMs = 2_000 }: { method?: string; timeoutMs?: number } = {},
): Promise<SocketAnswer | undefined> {
  return new Promise((resolve) => {
    const call = request({ socketPath, method, path, timeout: timeoutMs, agent: false });
    call.on('response', (response) => {
      let body = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => (body += chunk));
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body }));
      response.on('error', () => resolve(undefined));
    });
    call.on('timeout', () => call.destroy());
    call.on('error', () => resolve(undefined));
    call.on('close', () => resolve(undefined));
    call.end();
  });
}
