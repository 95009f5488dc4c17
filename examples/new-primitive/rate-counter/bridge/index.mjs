// The bridge half of rate-counter: what talks to a backend. This one keeps its
// counts in memory, so it needs none.

/** Keys that are counted at the same time, at most. */
const MOST_KEYS = 10_000;

/**
 * Opens a component: called when it is configured, and again when its settings have changed. Throws what is wrong.
 *
 * @param context name, appId, metadata, dataDir, log(line), report('down' | 'ready', reason), error(code, message)
 */
export async function open({ metadata, error }) {
  const windowMs = 1000 * Number(metadata.windowSeconds ?? 60);
  if (!(windowMs >= 1 && windowMs <= 86_400_000))
    throw new Error(`windowSeconds: expected seconds, at most 86400, found ${metadata.windowSeconds}`);
  /** The counts of each key in this window and the one before, and when this one began. */
  let counts = new Map();
  let before = new Map();
  let began = 0;

  return {
    methods: {
      /** @param request { componentName, key } @param call { appId, spiffeId, traceparent, timeLeftMs } */
      async Increment({ key }) {
        const now = Date.now();
        const passed = Math.floor((now - began) / windowMs);
        if (passed >= 1) {
          before = passed === 1 ? counts : new Map();
          counts = new Map();
          began = passed === 1 ? began + windowMs : now;
        }
        if (!counts.has(key) && counts.size >= MOST_KEYS)
          throw error('RESOURCE_EXHAUSTED', `${MOST_KEYS} keys are counted already`);
        const count = (counts.get(key) ?? 0) + 1;
        counts.set(key, count);
        // Of the window before, as much as is left of it.
        const rest = 1 - (now - began) / windowMs;
        return { count: count + Math.floor((before.get(key) ?? 0) * rest) };
      },
    },
    async close() {},
  };
}
