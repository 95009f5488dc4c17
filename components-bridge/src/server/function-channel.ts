import { functionsSocket } from '../config/sockets.js';
import type { RuntimeConfig } from '../config/types.js';
import { AppChannel } from '../primitives/app-channel.js';

/** Tells Envoy's routes that an event or a schedule calls, see envoy/functions-listener.ts. */
const TRIGGER = 'x-layotto-trigger';

export interface FunctionChannelOptions {
  config: RuntimeConfig;
  /** Where Envoy's listener for functions has its socket. */
  dataDir: string;
  /** What callers of the runtime must know; empty: nothing. */
  apiToken: string;
}

/** How long Envoy may take to say whether there is a function, in milliseconds. */
const LOOK_MS = 5_000;

/** At this path Envoy's routes say whether there is a function, see envoy/functions-listener.ts. */
const LOOK_PATH = '/.well-known/layotto-function';

/** Whether there is such a function: Envoy's routes know, without a call of it. @throws AppError if Envoy does not say */
export async function isThere(channel: AppChannel): Promise<boolean> {
  const call = { method: 'OPTIONS', path: LOOK_PATH, body: new Uint8Array(0), timeoutMs: LOOK_MS };
  return (await channel.http(call)).status === 204;
}

/** Calls one function, through Envoy. */
export function functionChannel(options: FunctionChannelOptions, id: string): AppChannel {
  const { config, dataDir, apiToken: token } = options;
  return new AppChannel({
    socketPath: functionsSocket(dataDir),
    direct: false,
    app: { port: config.functions?.listen.port ?? 0, protocol: 'http' },
    token,
    headers: { ':authority': 'localhost', [TRIGGER]: '1', id },
    messageBytes: config.limits.messageBytes,
  });
}
