import { mkdir, mkdtemp, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A folder of secrets as the kubelet mounts it: links to `..data`, which is turned to a new folder at each change. */
export class MountedSecrets {
  readonly #content: Map<string, string>;
  #version = 0;

  private constructor(
    readonly path: string,
    content: Record<string, string>,
  ) {
    this.#content = new Map(Object.entries(content));
  }

  static async create(content: Record<string, string>): Promise<MountedSecrets> {
    const mounted = new MountedSecrets(await mkdtemp(join(tmpdir(), 'mounted-')), content);
    await mounted.#publish();
    return mounted;
  }

  async set(name: string, value: string): Promise<void> {
    await this.setAll({ [name]: value });
  }

  /** Changes several at once. */
  async setAll(values: Record<string, string>): Promise<void> {
    for (const [name, value] of Object.entries(values)) this.#content.set(name, value);
    await this.#publish();
  }

  async remove(name: string): Promise<void> {
    this.#content.delete(name);
    await this.#publish();
    await rm(join(this.path, name));
  }

  async stop(): Promise<void> {
    await rm(this.path, { recursive: true, force: true });
  }

  async #publish(): Promise<void> {
    const before = `..2026_${this.#version}`;
    const now = `..2026_${++this.#version}`;
    await mkdir(join(this.path, now));
    for (const [name, value] of this.#content) {
      await writeFile(join(this.path, now, name), value);
      await symlink(`..data/${name}`, join(this.path, name)).catch(() => undefined);
    }
    await symlink(now, join(this.path, '..data_tmp'));
    await rename(join(this.path, '..data_tmp'), join(this.path, '..data'));
    await rm(join(this.path, before), { recursive: true, force: true });
  }
}
