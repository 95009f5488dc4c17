/** Lets a number of things pass per second. */
export class Throttle {
  #second = 0;
  #passed = 0;

  constructor(private readonly perSecond: number) {}

  /** @param now in milliseconds of `performance.now()` */
  pass(now: number): boolean {
    const second = Math.floor(now / 1_000);
    if (second !== this.#second) {
      this.#second = second;
      this.#passed = 0;
    }
    return this.#passed++ < this.perSecond;
  }
}
