/** A pause that can be cut short, and that keeps no process alive. */
export class Pause {
  #wake: () => void = () => undefined;

  /** Resolves after so many milliseconds, or with the next `end`. */
  take(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      timer.unref();
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  /** Ends the pause, if there is one. */
  end(): void {
    this.#wake();
  }
}
