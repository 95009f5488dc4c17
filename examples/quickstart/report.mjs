import { performance } from 'node:perf_hooks';

/** Prints one aligned line per operation, and counts. */
export class Report {
  #operations = 0;
  #failed = 0;

  /**
   * Runs one door's operations. What the door returns, if anything, is shown as its name.
   * @param {string} name
   * @param {(step: (what: string, action: () => Promise<string>) => Promise<void>) => Promise<void>} run
   */
  async door(name, run) {
    try {
      await run((what, action) => this.#step(what, name, action));
    } catch (error) {
      // A step reports its own failure; this is one between the steps, and the door's other steps are lost.
      this.#line('(door)', name, `FAILED: ${oneLine(error)}`, '');
      this.#operations += 1;
      this.#failed += 1;
    }
  }

  /** Prints the sum; returns the exit code. */
  end() {
    console.log(`\n${this.#operations} operations, ${this.#failed} failed`);
    return this.#failed === 0 ? 0 : 1;
  }

  async #step(what, door, action) {
    this.#operations += 1;
    const started = performance.now();
    let result;
    try {
      result = await action();
    } catch (error) {
      this.#failed += 1;
      result = `FAILED: ${oneLine(error)}`;
    }
    this.#line(what, door, result, `${(performance.now() - started).toFixed(1)} ms`);
  }

  #line(what, door, result, time) {
    console.log(`${what.padEnd(19)} ${door.padEnd(16)} ${result.padEnd(40)} ${time.padStart(9)}`);
  }
}

function oneLine(error) {
  return String(error?.message ?? error)
    .replace(/\s+/g, ' ')
    .trim();
}
