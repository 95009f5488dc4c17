import type { Logger } from 'pino';

import type { ComponentConfig, ListenAddress, RuntimeConfig } from '../config/types.js';
import type { ComponentType } from '../primitives/component.js';
import type { ComponentHealth } from '../primitives/slot.js';
import type { Secrets } from '../telemetry/secrets.js';
import type { AppShare } from './app-share.js';

export interface BridgeOptions {
  config: RuntimeConfig;
  /** The component types that can be served. */
  catalog: readonly ComponentType[];
  /** The type of a component of a primitive that is not the runtime's own; by default there are none. */
  ownType?: ((config: ComponentConfig, messageBytes: number) => ComponentType | undefined) | undefined;
  /** The runtime's version, said in the session's hello. */
  version: string;
  /** Where sessions are served, and streams beside it. Default: `session.sock` in the data folder. */
  socketPath?: string | undefined;
  /** Group that may connect to the sockets, besides the owner. */
  gid?: number | undefined;
  /** Where metrics and health are served, besides the socket in the data folder. */
  admin?: ListenAddress | undefined;
  /** Where the doors are served without a filter; absent: nowhere. */
  listen?: (ListenAddress & { apiTokens: readonly string[] }) | undefined;
  /** What the app knows the runtime by, the environment's APP_API_TOKEN; `config.appTokenFile` wins over it. */
  appToken?: string | undefined;
  /** What callers of the runtime must know, the environment's DAPR_API_TOKEN: what triggers functions sends it. */
  apiToken?: string | undefined;
  /**
   * The app is beside this bridge, and is called at its port where Envoy has no listener for it: in a sidecar of a mesh,
   * and without an Envoy. Default: it is called through Envoy only.
   */
  appDirectly?: boolean;
  /** Where Envoy takes what is for the app. Default: beside the sessions' socket. */
  appSocket?: string | undefined;
  /** The app is in pods, whose sidecars take it each in a folder of its own in this one. */
  appPods?: string | undefined;
  /** The environment's NAMESPACE, for stores whose keys begin with it. */
  namespace?: string | undefined;
  log: Logger;
  /** What must not be shown of what components say. */
  secrets: Secrets;
  /**
   * What the app may use, if this bridge is one of several in a process. Then it serves that app's filters only, has no
   * metrics and health of its own, and the app may not change components: their paths would lead to other apps' files.
   */
  share?: AppShare | undefined;
  onSessions?: (open: number) => void;
  onHealth?: (health: ComponentHealth) => void;
  /** Told when settings that `apply` could not wait for have taken the place of the old ones. */
  onReplaced?: (component: ComponentConfig) => void;
  /** Told when another bridge has taken this one's place: it should `drain`. */
  onTakenOver?: () => void;
}
