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
