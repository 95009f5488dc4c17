import { randomUUID } from 'node:crypto';
import { constants } from 'node:fs';
import { mkdir, open as openFile, readdir, realpath, rm } from 'node:fs/promises';
import { dirname, join, relative, resolve, sep } from 'node:path';

import { BindingError } from '../../primitives/binding/binding.js';
import type { Invocation, InvocationResult, OutputBinding } from '../../primitives/binding/binding.js';
import type { ComponentContext } from '../../primitives/component.js';
import { reasonOf } from '../../primitives/errors.js';
import { probeFolder } from '../folder-probe.js';
import { metadataSchema } from './metadata.js';

/** Most files that one call lists. */
const MOST_LISTED = 10_000;
const NOTHING = new Uint8Array(0);

/** Opens the folder, which is made if it is not there. */
export async function open(
  context: Pick<ComponentContext, 'name' | 'metadata' | 'dataDir'>,
): Promise<OutputBinding> {
  const { rootPath } = metadataSchema.parse(context.metadata);
  // A component may be called "..", and its name becomes a folder here.
  const folder = context.name.replace(/^\.+$/, (dots) => '%2E'.repeat(dots.length));
  const root = rootPath ? resolve(rootPath) : join(context.dataDir, 'binding', folder);
  await mkdir(root, { recursive: true, mode: 0o700 });
  return new LocalStorageBinding(await realpath(root));
}

/** Files in a folder of the machine. The metadata `fileName` says which. */
export class LocalStorageBinding implements OutputBinding {
  readonly operations = ['create', 'get', 'list', 'delete'];

  /** @param root without links on the way to it */
  constructor(private readonly root: string) {}

  async invoke({ operation, data, metadata, maxBytes }: Invocation): Promise<InvocationResult> {
    const name = metadata.get('fileName') ?? '';
    try {
      switch (operation) {
        case 'create':
          return json({ fileName: await this.#create(name === '' ? randomUUID() : name, unquoted(data)) });
        case 'get':
          return { data: await this.#get(name, maxBytes), metadata: {} };
        case 'delete':
          await rm(await this.#path(name));
          return { data: NOTHING, metadata: {} };
        default:
          return json(await this.#list(name));
      }
    } catch (error) {
      if (error instanceof BindingError) throw error;
      const gone = (error as NodeJS.ErrnoException).code === 'ENOENT';
      throw new BindingError('failed', gone ? `file not found: ${name}` : `${name}: ${reasonOf(error)}`);
    }
  }

  probe(): Promise<void> {
    return probeFolder(this.root);
  }

  async close(): Promise<void> {}

  async #create(name: string, data: Uint8Array): Promise<string> {
    await mkdir(dirname(this.#inside(name)), { recursive: true, mode: 0o700 });
    const path = await this.#path(name);
    const { O_WRONLY, O_CREAT, O_TRUNC, O_NOFOLLOW } = constants;
    const file = await openFile(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, 0o600);
    try {
      await file.writeFile(data);
    } finally {
      await file.close();
    }
    return relative(this.root, path);
  }

  async #get(name: string, maxBytes: number): Promise<Uint8Array> {
    const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = constants;
    const file = await openFile(await this.#path(name), O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
    try {
      const info = await file.stat();
      if (!info.isFile()) throw new BindingError('failed', `not a file: ${name}`);
      if (info.size > maxBytes)
        throw new BindingError(
          'too-large',
          `${name} has ${info.size} bytes; at most ${maxBytes} can be answered`,
        );
      return await file.readFile();
    } finally {
      await file.close();
    }
  }

  /** Every file below a folder. */
  async #list(name: string): Promise<string[]> {
    const folder = name === '' ? this.root : await this.#path(name);
    const files: string[] = [];
    for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
      if (!entry.isFile()) continue;
      files.push(join(entry.parentPath, entry.name));
      if (files.length > MOST_LISTED)
        throw new BindingError('too-large', `more than ${MOST_LISTED} files; list a folder of them`);
    }
    return files.sort();
  }

  /** @throws BindingError if the name leads out of the folder */
  #inside(name: string): string {
    const path = join(this.root, name);
    if (name === '' || name.includes('\0') || !path.startsWith(`${this.root}${sep}`))
      throw new BindingError('failed', `invalid fileName: ${JSON.stringify(name)}`);
    return path;
  }

  /** The file's path, if no link on the way to it leads out of the folder. */
  async #path(name: string): Promise<string> {
    const path = this.#inside(name);
    const folder = await realpath(dirname(path));
    if (folder !== this.root && !folder.startsWith(`${this.root}${sep}`))
      throw new BindingError('failed', `invalid fileName: ${JSON.stringify(name)}`);
    return path;
  }
}

/** A JSON text stands for what is in it, as in Dapr; everything else is kept as it came. */
function unquoted(data: Uint8Array): Uint8Array {
  if (data[0] !== 0x22) return data;
  try {
    const value: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(data));
    return typeof value === 'string' ? Buffer.from(value) : data;
  } catch {
    return data;
  }
}

function json(value: unknown): InvocationResult {
  return { data: Buffer.from(JSON.stringify(value)), metadata: {} };
}
