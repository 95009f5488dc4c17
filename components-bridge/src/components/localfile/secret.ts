import { open as openFile } from 'node:fs/promises';
import { resolve } from 'node:path';

import type { ComponentContext } from '../../primitives/component.js';
import { reasonOf } from '../../primitives/errors.js';
import { SecretError } from '../../primitives/secret/store.js';
import type { SecretEntries, SecretStore } from '../../primitives/secret/store.js';
import { metadataSchema } from './metadata.js';

/** A file of secrets is small; what is far beyond is a mistake. */
const MAX_FILE_BYTES = 8 * 1024 * 1024;
const MAX_DEPTH = 64;

type Secrets = ReadonlyMap<string, SecretEntries>;

/** Secrets in a JSON file. @throws Error if it cannot be read now */
export async function open(context: Pick<ComponentContext, 'metadata'>): Promise<SecretStore> {
  const { secretsFile, nestedSeparator, multiValued } = metadataSchema.parse(context.metadata);
  const store = new FileSecretStore(resolve(secretsFile), nestedSeparator || ':', multiValued === true);
  await store.names();
  return store;
}

/** Read again when the file has changed; while it cannot be read, nothing is answered. */
export class FileSecretStore implements SecretStore {
  #version = '';
  #secrets: Secrets = new Map();
  #reading: Promise<Secrets> | undefined;

  constructor(
    private readonly file: string,
    private readonly separator: string,
    private readonly multiValued: boolean,
  ) {}

  async get(name: string): Promise<SecretEntries | undefined> {
    return (await this.#read()).get(name);
  }

  async names(): Promise<string[]> {
    return [...(await this.#read()).keys()];
  }

  async probe(): Promise<void> {
    await this.names();
  }

  async close(): Promise<void> {}

  /** Calls that come while the file is read share the reading. */
  #read(): Promise<Secrets> {
    this.#reading ??= this.#readOnce().finally(() => (this.#reading = undefined));
    return this.#reading;
  }

  async #readOnce(): Promise<Secrets> {
    try {
      const file = await openFile(this.file);
      try {
        const { size, mtimeNs, ino, dev } = await file.stat({ bigint: true });
        const version = [dev, ino, mtimeNs, size].join(' ');
        if (version === this.#version) return this.#secrets;
        if (size > MAX_FILE_BYTES) throw new Error(`it has more than ${MAX_FILE_BYTES} bytes`);
        this.#secrets = this.#parse(await file.readFile());
        this.#version = version;
        return this.#secrets;
      } finally {
        await file.close();
      }
    } catch (error) {
      throw new SecretError(`the secrets' file ${this.file} cannot be read: ${reasonOf(error)}`);
    }
  }

  #parse(bytes: Uint8Array): Secrets {
    const value = parseJson(bytes);
    if (!isObject(value)) throw new Error('expected a JSON object');
    const secrets = new Map<string, SecretEntries>();
    if (this.multiValued) {
      for (const [name, inner] of Object.entries(value)) {
        const entries = new Map<string, string>();
        this.#flatten(inner, isObject(inner) ? [] : [name], entries, 0);
        secrets.set(name, entries);
      }
    } else {
      const entries = new Map<string, string>();
      this.#flatten(value, [], entries, 0);
      for (const [name, text] of entries) secrets.set(name, new Map([[name, text]]));
    }
    return secrets;
  }

  /** Nested values by the names on the way to them; items of a list by their number. */
  #flatten(value: unknown, path: readonly string[], into: Map<string, string>, depth: number): void {
    if (depth > MAX_DEPTH) throw new Error(`its values are nested deeper than ${MAX_DEPTH}`);
    if (typeof value === 'object' && value !== null) {
      for (const [key, inner] of Object.entries(value)) this.#flatten(inner, [...path, key], into, depth + 1);
      return;
    }
    const name = path.join(this.separator);
    if (into.has(name)) throw new Error(`two of its values are called ${JSON.stringify(name)}`);
    into.set(name, value === null ? '' : String(value));
  }
}

/** @throws Error that does not quote the text, as the parser's own would: it holds secrets */
function parseJson(bytes: Uint8Array): unknown {
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw new Error('expected UTF-8 text');
  }
  try {
    return JSON.parse(text);
  } catch (error) {
    const at = / position (\d+)/.exec(reasonOf(error))?.[1];
    const line = at === undefined ? undefined : text.slice(0, Number(at)).split('\n').length;
    // eslint-disable-next-line preserve-caught-error -- it quotes the text
    throw new Error(line === undefined ? 'it is not valid JSON' : `it is not valid JSON, see line ${line}`);
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
