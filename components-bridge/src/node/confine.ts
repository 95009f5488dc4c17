import { relative, resolve } from 'node:path';

import type { RuntimeConfig } from '../config/types.js';

/** Metadata by which components name a file or folder of the machine. */
const PATH_KEYS: ReadonlySet<string> = new Set(['path', 'rootpath', 'secretsfile']);

/** Reads the environment of the process that it runs in. */
const ENVIRONMENT = 'secretstores.local.env';

/**
 * What components of one app would reach of others' in a process that they share, a line each; empty if nothing.
 *
 * @param own folders that are the app's
 * @param kept folders that hold what belongs to single apps
 */
export function intrusions(config: RuntimeConfig, own: readonly string[], kept: readonly string[]): string[] {
  const problems: string[] = [];
  const foreign = (path: string): boolean =>
    !own.some((folder) => isInside(path, folder)) && kept.some((folder) => overlap(path, folder));
  const { appTokenFile } = config;
  if (appTokenFile !== undefined && foreign(appTokenFile))
    problems.push(
      `${config.source}: app.tokenFile: expected a path outside of what belongs to other apps, found ${appTokenFile}`,
    );
  for (const { name, type, metadata, origin } of config.components) {
    const at = `${origin.file}:${origin.line}: "${name}"`;
    if (type === ENVIRONMENT) {
      problems.push(
        `${at}: ${type} reads the environment of the bridge, which all apps of the node share; use secretstores.mounted`,
      );
    }
    for (const [key, value] of Object.entries(metadata)) {
      if (!PATH_KEYS.has(key.toLowerCase())) continue;
      const path = resolve(value);
      if (!foreign(path)) continue;
      problems.push(`${at}: ${key}: expected a path outside of what belongs to other apps, found ${path}`);
    }
  }
  return problems;
}

function overlap(one: string, other: string): boolean {
  return isInside(one, other) || isInside(other, one);
}

function isInside(path: string, folder: string): boolean {
  const way = relative(folder, path);
  return way === '' || (way !== '..' && !way.startsWith('../'));
}
