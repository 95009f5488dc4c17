import type { ComponentConfig, SecretRef } from '../../config/types.js';
import type { Secrets } from '../../telemetry/secrets.js';
import { reasonOf } from '../errors.js';
import type { ComponentSlot } from '../slot.js';
import type { SecretStore } from './store.js';

/** How long a store that is being opened is waited for; a component that needs it is tried again anyway. */
const STORE_WAIT_MS = 1_000;

export interface SecretReferencesOptions {
  /** The secret store of that name, if there is one. */
  find: (store: string) => ComponentSlot | undefined;
  /** Learns every secret that is handed out, so that it is taken out of whatever is said. */
  secrets: Secrets;
}

/**
 * Takes the metadata that components keep in secret stores from there. The rules of access do not apply: they are for
 * the app, and these are for components that the configuration names.
 */
export class SecretReferences {
  constructor(private readonly options: SecretReferencesOptions) {}

  /**
   * The metadata with every secret in its place.
   *
   * @throws Error that names the store, secret or key that is missing
   */
  async metadataOf({ metadata, secretRefs = [] }: ComponentConfig): Promise<Record<string, string>> {
    const values = await Promise.all(secretRefs.map((ref) => this.#valueOf(ref)));
    const complete = { ...metadata };
    for (const [index, { injectAs }] of secretRefs.entries()) complete[injectAs] = values[index] ?? '';
    return complete;
  }

  async #valueOf({ injectAs, store, name, key }: SecretRef): Promise<string> {
    const value = await this.#read(store, name, key).catch((error: unknown) => {
      throw new Error(`${injectAs}: ${reasonOf(error)}`, { cause: error });
    });
    this.options.secrets.add(value);
    return value;
  }

  async #read(storeName: string, name: string, key: string): Promise<string> {
    const slot = this.options.find(storeName);
    if (slot === undefined) throw new Error(`there is no secret store ${JSON.stringify(storeName)}`);
    await Promise.race([slot.firstTry, wait(STORE_WAIT_MS)]);
    return slot.use(async () => {
      const store = slot.instance as SecretStore | undefined;
      if (store === undefined)
        throw new Error(`the secret store ${JSON.stringify(storeName)} is not ready: ${slot.reason}`);
      const entries = await store.get(name);
      const place = `the secret store ${JSON.stringify(storeName)}`;
      if (entries === undefined) throw new Error(`${place} has no secret ${JSON.stringify(name)}`);
      const value = entries.get(key);
      if (value === undefined)
        throw new Error(`the secret ${JSON.stringify(name)} of ${place} has no key ${JSON.stringify(key)}`);
      return value;
    });
  }
}

function wait(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms).unref());
}
