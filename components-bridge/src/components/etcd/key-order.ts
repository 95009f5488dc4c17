/** Performs what writes the same key in the order in which it was asked for: etcd does what comes together in any. */
export class KeyOrder {
  /** The last of those that are not done, by key. */
  readonly #last = new Map<string, Promise<void>>();

  /** Performs after what was asked for before and uses one of these keys. */
  async after<Result>(keys: ReadonlySet<string>, perform: () => Promise<Result>): Promise<Result> {
    const before = [...keys].flatMap((key) => this.#last.get(key) ?? []);
    let end: () => void = () => undefined;
    const done = new Promise<void>((resolve) => (end = resolve));
    for (const key of keys) this.#last.set(key, done);
    try {
      if (before.length > 0) await Promise.all(before);
      return await perform();
    } finally {
      for (const key of keys) if (this.#last.get(key) === done) this.#last.delete(key);
      end();
    }
  }
}
