import { Agent, request } from 'node:http';

/** Calls that are made one after the other on kept connections, until they are stopped. */
export interface SteadyCalls {
  /** How many calls each app has answered so far. */
  readonly answered: ReadonlyMap<string, number>;
  /** Ends them when those under way have their answers. @returns what went wrong, each once with how often */
  stop: () => Promise<Record<string, number>>;
}

/**
 * Calls apps that answer with their name in `x-app`.
 *
 * @param port of 127.0.0.1
 * @param options.inflight how many calls are under way at a time
 */
export function steadyCalls(
  port: number,
  path: string,
  { inflight, headers = {} }: { inflight: number; headers?: Record<string, string> },
): SteadyCalls {
  const agent = new Agent({ keepAlive: true, maxSockets: inflight });
  const answered = new Map<string, number>();
  const failed: Record<string, number> = {};
  let going = true;
  const once = async (): Promise<void> => {
    const { app, failure } = await call(agent, port, path, headers);
    if (failure === undefined) answered.set(app, (answered.get(app) ?? 0) + 1);
    else failed[failure] = (failed[failure] ?? 0) + 1;
  };
  const callers = Array.from({ length: inflight }, async () => {
    while (going) await once();
  });
  return {
    answered,
    stop: async () => {
      going = false;
      await Promise.all(callers);
      agent.destroy();
      return failed;
    },
  };
}

function call(
  agent: Agent,
  port: number,
  path: string,
  headers: Record<string, string>,
): Promise<{ app: string; failure?: string }> {
  return new Promise((resolve) => {
    // POST: nothing repeats it that may have reached an app.
    const options = { agent, host: '127.0.0.1', port, path, method: 'POST', headers, timeout: 20_000 };
    const sent = request(options, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', ({ message }) => resolve({ app: '', failure: message }));
      response.on('end', () => {
        const app = String(response.headers['x-app']);
        const text = Buffer.concat(chunks).toString();
        const failure = `${response.statusCode} ${text}`;
        resolve(response.statusCode === 200 ? { app } : { app, failure });
      });
    });
    sent.on('timeout', () => sent.destroy(new Error('no answer in time')));
    sent.on('error', ({ message }) => resolve({ app: '', failure: message }));
    sent.end('x');
  });
}
