import type { Component } from './component.js';
import { reasonOf } from './errors.js';

/** Pause between two looks at a component that says nothing else. */
const PAUSE_MS = 1_000;
/** How long a look may take. */
const LIMIT_MS = 2_000;

/**
 * Looks at one component again and again, for its health only: calls are made all the same, and say themselves what
 * went wrong. One look at a time: the next waits for one that hangs, however long ago that was given up.
 */
export class Probing {
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;

  /** @param told after each look: why the component does not serve, or undefined if it does */
  constructor(
    private readonly component: Component,
    private readonly told: (failure: string | undefined) => void,
  ) {}

  /** Begins with a look at once, if the component can be looked at. */
  start(): void {
    const { component } = this;
    if (component.probe === undefined) return;
    const probe = component.probe.bind(component);
    const pause = component.probePauseMs ?? PAUSE_MS;
    const look = async (): Promise<void> => {
      await this.#look(probe);
      if (this.#stopped) return;
      this.#timer = setTimeout(() => void look(), pause);
      this.#timer.unref();
    };
    void look();
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }

  /** Resolves when the look has ended by itself, which may be after it was given up; never throws. */
  async #look(probe: () => Promise<void>): Promise<void> {
    let late: NodeJS.Timeout | undefined;
    const failure = probe().then(
      () => undefined,
      (error: unknown) => reasonOf(error),
    );
    const limit = new Promise<string>((resolve) => {
      late = setTimeout(resolve, LIMIT_MS, `no answer within ${LIMIT_MS} ms when it was looked at`);
      late.unref();
    });
    this.#tell(await Promise.race([failure, limit]));
    clearTimeout(late);
    await failure;
  }

  #tell(failure: string | undefined): void {
    if (!this.#stopped) this.told(failure);
  }
}
