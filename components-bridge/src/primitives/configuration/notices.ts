import { ANY } from './store.js';
import type { ConfigurationItem, ConfigurationQuery, ConfigurationWatch } from './store.js';

/** What a change is about; undefined: whatever it may be. */
export type Place = Pick<ConfigurationItem, 'group' | 'label' | 'key'>;

/** Whether an item of this place belongs to a query. */
export function covers({ group, label, keys }: ConfigurationQuery, place: Place): boolean {
  return (
    (group === ANY || group === place.group) &&
    (label === ANY || label === place.label) &&
    (keys.length === 0 || keys.includes(place.key))
  );
}

/** For stores: who watches which query. */
export class Notices {
  readonly #watches = new Set<{ query: ConfigurationQuery; changed: () => void }>();

  get size(): number {
    return this.#watches.size;
  }

  /** @param onClose called once when the watch is closed */
  add(
    query: ConfigurationQuery,
    changed: () => void,
    onClose: () => void = () => undefined,
  ): ConfigurationWatch {
    const watch = { query, changed };
    this.#watches.add(watch);
    return {
      close: () => {
        if (this.#watches.delete(watch)) onClose();
      },
    };
  }

  /** Something at this place may have changed. */
  changed(place: Place): void {
    for (const { query, changed } of [...this.#watches]) if (covers(query, place)) changed();
  }

  /** Anything may have changed. */
  allChanged(): void {
    for (const { changed } of [...this.#watches]) changed();
  }

  clear(): void {
    this.#watches.clear();
  }
}
