/** Resolves after `ms` milliseconds. */
export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/**
 * Calls `probe` until it gives something other than `undefined`, `false` or `null`, and returns that.
 *
 * @param what named in the error when time runs out
 * @param timeoutMs how long to keep asking
 * @param everyMs pause between two questions
 * @throws with the last error of `probe`, if it threw
 */
export async function eventually<T>(
  what: string,
  probe: () => T | Promise<T>,
  { timeoutMs = 10_000, everyMs = 20 }: { timeoutMs?: number; everyMs?: number } = {},
): Promise<Exclude<T, undefined | false | null>> {
  const end = Date.now() + timeoutMs;
  let last: unknown;
  for (;;) {
    try {
      const value = await probe();
      if (value !== undefined && value !== false && value !== null) {
        return value as Exclude<T, undefined | false | null>;
      }
      last = undefined;
    } catch (error) {
      last = error;
    }
    if (Date.now() >= end) {
      const reason = last === undefined ? '' : `: ${last instanceof Error ? last.message : String(last)}`;
      throw new Error(`${what}: not within ${timeoutMs} ms${reason}`);
    }
    await sleep(everyMs);
  }
}
