import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { constants } from 'node:os';

/** The app that `layotto run` was given, as a child that shares our terminal. */
export class AppProcess {
  /** Resolves with the code to exit with: its own, or 128 and the signal's number, or as a shell would. */
  readonly exitCode: Promise<number>;
  readonly #child: ChildProcess;

  /** @param onError told if it cannot be started */
  constructor(command: readonly string[], env: NodeJS.ProcessEnv, onError: (message: string) => void) {
    const [program = '', ...args] = command;
    this.#child = spawn(program, args, { stdio: 'inherit', env });
    this.exitCode = new Promise((resolve) => {
      this.#child.once('error', (error: NodeJS.ErrnoException) => {
        const missing = error.code === 'ENOENT';
        onError(`cannot start ${program}: ${missing ? 'no such program' : error.message}`);
        resolve(missing ? 127 : 126);
      });
      this.#child.once('exit', (code, signal) => {
        resolve(signal === null ? (code ?? 1) : 128 + constants.signals[signal]);
      });
    });
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }
}

/**
 * What an app finds in its environment: where the runtime is, in the names that the SDKs read.
 *
 * @param host where the runtime listens; for "every address" the app is told loopback
 */
export function appEnvironment(
  base: NodeJS.ProcessEnv,
  { host, port, appId, appPort }: { host: string; port: number; appId: string; appPort: number },
): NodeJS.ProcessEnv {
  const reachable = reachableHost(host);
  const address = reachable.includes(':') ? `[${reachable}]` : reachable;
  return {
    ...base,
    DAPR_HTTP_PORT: String(port),
    DAPR_GRPC_PORT: String(port),
    DAPR_HTTP_ENDPOINT: `http://${address}:${port}`,
    // Every SDK takes this form; .NET's takes no other.
    DAPR_GRPC_ENDPOINT: `http://${address}:${port}`,
    runtime_GRPC_HOST: reachable,
    runtime_GRPC_PORT: String(port),
    APP_ID: appId,
    ...(appPort === 0 ? {} : { APP_PORT: String(appPort) }),
  };
}

/** An address to call the runtime at, when it listens on `host`. */
export function reachableHost(host: string): string {
  if (host === '0.0.0.0') return '127.0.0.1';
  return host === '::' ? '::1' : host;
}
