/** Whether the app can be reached, as the last call of it showed. */
export class AppPresence {
  #here = false;
  #back: Promise<void> | undefined;
  #onBack: () => void = () => undefined;
  readonly #listeners = new Set<(here: boolean) => void>();

  get here(): boolean {
    return this.#here;
  }

  /** Told of each change. */
  onChange(listener: (here: boolean) => void): void {
    this.#listeners.add(listener);
  }

  /** The app has answered, or nobody did. */
  set(here: boolean): void {
    if (this.#here === here) return;
    this.#here = here;
    if (here) {
      this.#onBack();
      this.#back = undefined;
    }
    for (const listener of this.#listeners) listener(here);
  }

  /**
   * Waits until the app can be reached again.
   *
   * @returns false if that took longer than so many milliseconds, or `signal` was aborted
   */
  async wait(ms: number, signal: AbortSignal): Promise<boolean> {
    if (this.#here) return true;
    if (signal.aborted) return false;
    this.#back ??= new Promise((resolve) => (this.#onBack = resolve));
    let end: () => void = () => undefined;
    const limit = new Promise<void>((resolve) => (end = resolve));
    const timer = setTimeout(end, ms);
    signal.addEventListener('abort', end, { once: true });
    await Promise.race([this.#back, limit]);
    clearTimeout(timer);
    signal.removeEventListener('abort', end);
    return this.#here;
  }
}
