import * as z from 'zod';

import { parseFlag } from '../config/units.js';
import { parseGoDuration } from './durations.js';

/** Longest pause or wait that can be configured: an hour. Timers overflow at 24 days. */
const LONGEST_MS = 3_600_000;

/** A text; `what` completes "expected …". */
export function text(what: string): z.ZodString {
  return z.string(`expected ${what}`);
}

/** A value in text form, read by `parse`. An empty text counts as absent, as in config files of both peers. */
export function read<Value>(
  expected: string,
  parse: (text: string) => Value | undefined,
): z.ZodType<Value | undefined> {
  return z
    .string(`expected ${expected}`)
    .transform((value, context): Value | undefined => {
      if (value === '') return undefined;
      const parsed = parse(value);
      if (parsed === undefined)
        context.issues.push({ code: 'custom', message: `expected ${expected}`, input: value });
      return parsed;
    })
    .optional();
}

export function whole(lowest: number, highest: number): z.ZodType<number | undefined> {
  return read(`a whole number from ${lowest} to ${highest}`, (value) => {
    const number = /^-?\d{1,9}$/.test(value) ? Number(value) : NaN;
    return number >= lowest && number <= highest ? number : undefined;
  });
}

/** Milliseconds, from Go's form of a duration or a number of milliseconds. */
export function duration(): z.ZodType<number | undefined> {
  return read('a duration such as 5s or 500ms, or milliseconds, up to 1h', (value) => {
    const ms = parseGoDuration(value);
    return ms !== undefined && ms <= LONGEST_MS ? ms : undefined;
  });
}

/** Go's spellings, as Dapr and Layotto take them. */
export function flag(): z.ZodType<boolean | undefined> {
  return read('true or false', parseFlag);
}

export function oneOf<Choice extends string>(...choices: readonly Choice[]): z.ZodType<Choice | undefined> {
  return read(choices.join(' or '), (value) => choices.find((choice) => choice === value.toLowerCase()));
}
