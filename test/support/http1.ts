import { request, type IncomingHttpHeaders } from 'node:http';

/** Where a listener is: a port on 127.0.0.1, or a Unix socket. */
export type Target = { port: number } | { socketPath: string };

/** A whole HTTP answer. */
export interface HttpAnswer {
  status: number;
  headers: IncomingHttpHeaders;
  body: string;
}

/**
 * One HTTP/1.1 request on a connection of its own.
 *
 * @param options.headers as sent; `Host` is `localhost` unless given
 * @param options.body sent with its length, unless `chunked` is set
 * @throws when the connection ends without a whole answer, or after `timeoutMs` (default 20 s)
 */
export function http1(
  target: Target,
  method: string,
  path: string,
  options: {
    headers?: Record<string, string>;
    body?: string | Uint8Array;
    chunked?: boolean;
    timeoutMs?: number;
  } = {},
): Promise<HttpAnswer> {
  return new Promise((resolve, reject) => {
    const body = options.body === undefined ? undefined : Buffer.from(options.body as Uint8Array);
    const headers: Record<string, string> = { host: 'localhost', ...options.headers };
    if (body !== undefined && options.chunked !== true) headers['content-length'] = String(body.length);
    const call = request(
      {
        ...('port' in target ? { host: '127.0.0.1', port: target.port } : target),
        method,
        path,
        headers,
        agent: false,
        timeout: options.timeoutMs ?? 20_000,
      },
      (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('error', reject);
        response.on('end', () => {
          resolve({
            status: response.statusCode ?? 0,
            headers: response.headers,
            body: Buffer.concat(chunks).toString('utf8'),
          });
        });
      },
    );
    call.on('timeout', () => call.destroy(new Error(`${method} ${path}: no answer in time`)));
    call.on('error', reject);
    call.end(body);
  });
}

/** `http1` with a JSON body, and the answer's body parsed where it is JSON. */
export async function httpJson(
  target: Target,
  method: string,
  path: string,
  value?: unknown,
  headers: Record<string, string> = {},
): Promise<HttpAnswer & { json: unknown }> {
  const answer = await http1(target, method, path, {
    headers: value === undefined ? headers : { 'content-type': 'application/json', ...headers },
    body: value === undefined ? undefined : JSON.stringify(value),
  });
  let json: unknown;
  try {
    json = JSON.parse(answer.body);
  } catch {
    json = undefined;
  }
  return { ...answer, json };
}
