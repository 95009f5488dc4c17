import type { Cron } from 'croner';

/** Shortest and longest time between two runs of `@every`, in milliseconds. */
const SHORTEST_MS = 100;
const LONGEST_MS = 31 * 24 * 3_600_000;
/** Longest expression. */
const LONGEST_TEXT = 200;

const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 };

/** When something is due. */
export interface Timing {
  /** When it is due next, after a time; both in milliseconds since the epoch. Undefined: never again. */
  next(after: number): number | undefined;
  /** Milliseconds from run to run; undefined: as cron says. */
  everyMs?: number;
}

/**
 * Reads when something is due: five fields of cron, six with seconds in front, `@hourly` and its like, or `@every` and
 * a duration of Go's, such as `@every 1h30m`. What reads cron is loaded with the first expression of cron.
 *
 * @param timezone name of a time zone (IANA); undefined: that of the process
 * @returns what is wrong with it, if something is
 */
export async function readTiming(text: string, timezone?: string): Promise<Timing | { problem: string }> {
  if (text.length > LONGEST_TEXT)
    return { problem: `expected at most ${LONGEST_TEXT} characters, found ${text.length}` };
  const [, written] = /^@every\s+(\S+)$/.exec(text.trim()) ?? [];
  if (written !== undefined) return every(written);
  const fields = text.trim() === '@midnight' ? '@daily' : text.trim();
  if (!fields.startsWith('@') && ![5, 6].includes(fields.split(/\s+/).length))
    return { problem: `expected five fields of cron, six with seconds, or "@every 5s"; found "${text}"` };
  try {
    const { Cron: Reader } = await import('croner');
    const cron: Cron = new Reader(fields, { paused: true, ...(timezone === undefined ? {} : { timezone }) });
    const next = (after: number): number | undefined => cron.nextRun(new Date(after))?.getTime();
    return next(Date.now()) === undefined ? { problem: `"${text}" never comes` } : { next };
  } catch (error) {
    return { problem: `"${text}" is no schedule: ${(error as Error).message.replace(/^CronPattern: /, '')}` };
  }
}

function every(text: string): Timing | { problem: string } {
  if (!/^(?:\d{1,9}(?:\.\d{1,3})?(?:ms|s|m|h))+$/.test(text))
    return { problem: `expected a duration such as 5s or 1h30m after @every, found "${text}"` };
  let ms = 0;
  for (const [, number, unit = ''] of text.matchAll(/([\d.]+)(ms|s|m|h)/g))
    ms += Number(number) * (UNITS[unit] ?? 0);
  if (ms < SHORTEST_MS || ms > LONGEST_MS)
    return { problem: `expected a time from 100ms to 744h after @every, found "${text}"` };
  return { next: (after) => after + ms, everyMs: ms };
}
