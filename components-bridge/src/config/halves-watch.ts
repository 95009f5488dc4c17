import { join } from 'node:path';

import { halfFiles } from './half-files.js';
import { DESCRIPTION } from './own-primitive.js';
import type { RuntimeConfig } from './types.js';
import { fileSignature, watchSignature } from './watch.js';

/** Tells when a bridge half that a configuration names has changed, or what it imports, as `watchConfig` does of the configuration. */
export class HalvesWatch {
  #files = '';
  #stop = (): void => undefined;

  constructor(
    private readonly onChange: () => void,
    private readonly everyMs?: number,
  ) {}

  /** Watches those that this configuration names, and no others. */
  use({ components }: Pick<RuntimeConfig, 'components'>): void {
    const files = components.flatMap(({ own }) => {
      if (own === undefined) return [];
      const half = own.socket === undefined ? halfFiles(own.folder).map(({ path }) => path) : [];
      return [join(own.folder, DESCRIPTION), ...half];
    });
    const key = files.join('\n');
    if (key === this.#files) return;
    this.#files = key;
    this.#stop();
    const look = async (): Promise<string> => (await Promise.all(files.map(fileSignature))).join('\n');
    this.#stop = files.length === 0 ? () => undefined : watchSignature(look, this.onChange, this.everyMs);
  }

  end(): void {
    this.#stop();
  }
}
