import type { ComponentSlot } from '../slot.js';

/** How long the last message of a put is waited for: what it takes on its way at most, unless it is not sent yet. */
const ON_ITS_WAY_MS = 100;

interface Put {
  name: string;
  /** Resolves when its last message has come. */
  ended: Promise<void>;
  hasEnded: boolean;
  /** Resolves when the file is there, or will not be. */
  over: Promise<void>;
}

/**
 * Puts that are not the file yet. Whoever asks for the file waits for those that have been sent to their end, because a
 * client may take a put for done when it has sent it: Layotto's on npm does, and reads at once. One that is still being
 * sent is not waited for.
 */
export class OpenPuts {
  readonly #bySlot = new WeakMap<ComponentSlot, Set<Put>>();

  /** @param over settles when the file is there, or will not be */
  add(slot: ComponentSlot, name: string, ended: Promise<void>, over: Promise<unknown>): void {
    const puts = this.#bySlot.get(slot) ?? new Set<Put>();
    this.#bySlot.set(slot, puts);
    const remove = (): void => void puts.delete(put);
    const put: Put = { name, ended, hasEnded: false, over: over.then(remove, remove) };
    void ended.then(() => (put.hasEnded = true));
    puts.add(put);
  }

  /**
   * Resolves when the puts of a file that have been sent by now are over; without a name, those of all files of which
   * everything has come.
   */
  async settled(slot: ComponentSlot, name?: string): Promise<void> {
    const puts = [...(this.#bySlot.get(slot) ?? [])].filter((put) =>
      name === undefined ? put.hasEnded : put.name === name,
    );
    if (puts.length > 0) await Promise.all(puts.map(sent));
  }
}

async function sent({ ended, over }: Put): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<'late'>((resolve) => {
    timer = setTimeout(() => resolve('late'), ON_ITS_WAY_MS);
  });
  const first = await Promise.race([late, over, ended]);
  clearTimeout(timer);
  if (first !== 'late') await over;
}
