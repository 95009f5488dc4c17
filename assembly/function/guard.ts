// Ends a function that does not end by itself. Envoy cannot interrupt a virtual
// machine: a loop without an end would hold its thread, and every call on it, for
// good. So the build puts a call of `layottoLoops` into each loop of a function.

import { LogLevel } from '../host/enums';
import { log, trap } from '../host/log';
import { monotonicMs } from '../host/clock';

/** How often loops turn between two looks at the clock. */
const TURNS: i32 = 8192;

let turns: i32 = TURNS;
let until: i64 = 0;
/** What holds while it is started. */
let limit: i64 = 100;

/** A method of the function begins. @param ms how long it may run without a pause */
export function guardBegins(ms: i32): void {
  turns = TURNS;
  limit = ms;
  // The clock is asked only if it loops so often.
  until = 0;
}

function look(): void {
  turns = TURNS;
  const now = monotonicMs();
  if (until == 0) until = now + limit;
  if (now < until) return;
  log(LogLevel.Error, 'layotto: a function ran for ' + limit.toString() + ' ms without a pause and is ended');
  trap();
}

/** A loop of the function turns. */
// @ts-ignore: decorator
@global
@inline
export function layottoLoops(): void {
  if (--turns < 0) look();
}

/** The function, or AssemblyScript's allocator, ends by `unreachable`. */
// @ts-ignore: decorator
@global
export function layottoTraps(): void {
  trap();
}
