import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

import { loadConfig } from '../../components-bridge/src/config/index.js';
import type { LoadOptions, LoadResult } from '../../components-bridge/src/config/index.js';
import type { RuntimeConfig } from '../../components-bridge/src/config/types.js';
import { sampleCatalog } from './sample-catalog.js';

/** A temporary folder with files in it, and a loader that works in it. */
export interface ConfigFolder {
  path: string;
  write(files: Record<string, string | Uint8Array>): Promise<void>;
  load(options?: Partial<LoadOptions>): Promise<LoadResult>;
  /** Loads and expects no problem. */
  config(options?: Partial<LoadOptions>): Promise<RuntimeConfig>;
  /** Loads and expects problems, as `file:line key: message` each. */
  problems(options?: Partial<LoadOptions>): Promise<string[]>;
  remove(): Promise<void>;
}

/** Makes a folder for one test. Its environment is empty unless `load` is given one. */
export async function configFolder(): Promise<ConfigFolder> {
  const path = await mkdtemp(join(tmpdir(), 'lc-'));
  const load = (options: Partial<LoadOptions> = {}): Promise<LoadResult> =>
    loadConfig({ catalog: sampleCatalog, cwd: path, env: {}, ...options });
  return {
    path,
    load,
    async write(files) {
      for (const [name, content] of Object.entries(files)) {
        await mkdir(dirname(join(path, name)), { recursive: true });
        await writeFile(join(path, name), content);
      }
    },
    async config(options) {
      const result = await load(options);
      if ('problems' in result)
        throw new Error(`unexpected problems: ${JSON.stringify(result.problems, null, 1)}`);
      return result.config;
    },
    async problems(options) {
      const result = await load(options);
      if ('config' in result) throw new Error('expected problems, found none');
      return result.problems.map(({ file, line, key, message }) => `${file}:${line} ${key}: ${message}`);
    },
    remove: () => rm(path, { recursive: true, force: true }),
  };
}
