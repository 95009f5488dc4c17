/** Types of get.mjs, which is plain JavaScript so that it runs before anything is built. */

export interface Tool {
  /** Path of the program. */
  path: string;
  /** Its version, for people to read. */
  version: string;
}

export interface ToolOptions {
  /** Takes one line of progress; by default standard error. */
  log?: (line: string) => void;
  /** The environment to read ENVOY_BIN, PATH and LAYOTTO_TOOLS from; by default the process's own. */
  env?: NodeJS.ProcessEnv;
}

/** A failure the user can act on: the message says what is missing and what to do. */
export class ToolError extends Error {}

export function toolsDir(env?: NodeJS.ProcessEnv): string;
export const ENVOY_VERSIONS: readonly string[];
export function envoyBinary(options?: ToolOptions & { version?: string }): Promise<Tool>;
export function valkeyServer(options?: ToolOptions): Promise<Tool>;
export function redisServer(options?: ToolOptions): Promise<Tool>;
export function redisOrValkeyServer(options?: ToolOptions): Promise<Tool>;
export function etcdServer(options?: ToolOptions): Promise<Tool>;
export function natsServer(options?: ToolOptions): Promise<Tool>;
export function otlpCollector(options?: ToolOptions): Promise<Tool>;
export function isSupportedEnvoy(version: string): boolean;
