import type { Logger } from 'pino';

import type { CatalogEntry } from '../config/types.js';

/** Where a backend is, as traces show it: OpenTelemetry's `db.system.name`, `server.address` and `server.port`. */
export interface BackendPlace {
  system: string;
  address?: string;
  port?: number;
}

/** A backend in use. What it can do stands in the interface of its primitive, such as `StateStore`. */
export interface Component {
  /** Where the backend is; undefined if there is nothing to say. */
  readonly place?: BackendPlace;

  /**
   * Looks whether it can serve, cheaply: it is asked as long as the component is open, one look at a time. What it says
   * shows in the component's health and is no reason to refuse calls; for that there is `report`. Left out where there
   * is nothing that could be lost.
   *
   * @throws Error that says why it cannot
   */
  probe?(): Promise<void>;
  /** Milliseconds between the end of a look and the next. Default 1000. */
  readonly probePauseMs?: number;

  /** Lets go of connections and files. Called once; calls in flight may fail. */
  close(): Promise<void>;
}

/** What a component is told when it is opened. */
export interface ComponentContext {
  /** The name calls use. */
  readonly name: string;
  /** The app that the runtime serves. */
  readonly appId: string;
  /** Version of the type, such as `v1`: for some it is the form in which values are kept. */
  readonly version: string;
  /** Checked by the type's schema before; parse it with the same schema to get values. */
  readonly metadata: Readonly<Record<string, string>>;
  /** Absolute folder for what the bridge keeps. */
  readonly dataDir: string;
  readonly log: Logger;
  /**
   * Says that the backend was lost (`down`, with the reason) or is back (`ready`). Only for changes after `open`
   * resolved; while it is down, calls fail at once with the reason.
   */
  report(status: 'ready' | 'down', reason?: string): void;
  /**
   * Says that what was read of these keys before may be out of date; `all`: of any key. For components whose answers
   * may be kept elsewhere. It must not come before the answers of reads that ended before it.
   */
  invalidate(keys: readonly string[] | 'all'): void;
}

/** What the module of a component exports. */
export interface ComponentModule {
  /**
   * Connects, and resolves when calls can be served. If it throws it must have let go of everything; it is called
   * again after a pause.
   */
  open(context: ComponentContext): Promise<Component>;
}

/** A component type that can be served. Importing the module, and with it the backend's client, is left to first use. */
export interface ComponentType extends CatalogEntry {
  readonly load: () => Promise<ComponentModule>;
}
