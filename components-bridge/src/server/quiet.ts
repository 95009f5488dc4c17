/** A filter may have sent requests before it saw GOAWAY: so long nothing may have come before the streams end. */
export const QUIET_MS = 100;

/** What is still to be waited for. */
export interface Activity {
  /** Streams that are open. */
  open: number;
  /** Operations at work. */
  running: number;
  /** Bytes that wait to be written. */
  backlog: number;
  /** When a frame came last, by `performance.now()`. */
  lastFrame: number;
}

/** Waits for the end of what session streams carry. One wait at a time. */
export class Quiet {
  #settle: () => void = () => undefined;

  constructor(private readonly activity: () => Activity) {}

  /**
   * Resolves when nothing is at work, nothing waits to be written and nothing has come for a while; or, `untilLeft`,
   * when every filter has ended its streams; or after `graceMs`.
   */
  wait(graceMs: number, untilLeft = false): Promise<void> {
    return new Promise((resolve) => {
      const end = setTimeout(() => this.#settle(), graceMs);
      let again: NodeJS.Timeout | undefined;
      this.#settle = () => {
        clearTimeout(end);
        clearTimeout(again);
        this.#settle = () => undefined;
        resolve();
      };
      const look = (): void => {
        const { open, running, backlog, lastFrame } = this.activity();
        const busy = untilLeft || running > 0 || backlog > 0;
        const rest = busy ? QUIET_MS / 4 : lastFrame + QUIET_MS - performance.now();
        if (open === 0 && running === 0) this.#settle();
        else if (rest <= 0) this.#settle();
        else again = setTimeout(look, rest);
      };
      look();
    });
  }

  /** Ends a wait now. */
  stop(): void {
    this.#settle();
  }
}
