// What the filter says of itself, beyond what went wrong, as far as it is asked to.

import { codeName } from '../dialects/codes';
import { Route, UNKNOWN } from '../dialects/router';
import { LogLevel } from '../host/enums';
import { log } from '../host/log';
import { NO_COMPONENT } from './call-metrics';
import { literal, View, viewEquals, viewToString } from '../wire/view';

/** Names of the levels, as the actuator has them, at their place in LogLevel. */
const NAMES: StaticArray<View> = [
  literal('trace'),
  literal('debug'),
  literal('info'),
  literal('warn'),
  literal('error'),
  literal('fatal'),
];

/** HTTP statuses and gRPC codes share one number: a gRPC code is below. */
const FIRST_STATUS: i32 = 100;

/**
 * The log of one root context. Its level is its own: Envoy has one for all filters, which nobody can change from here.
 * So what is said because somebody asked for more than is usual is handed to Envoy as a warning, which it writes unless
 * it was told to write almost nothing, with its own level in the text.
 */
export class FilterLog {
  level: LogLevel = LogLevel.Info;

  /** Takes over a level by its name; one that there is not changes nothing. */
  setLevel(name: View): void {
    for (let i = 0; i < NAMES.length; i++) if (viewEquals(name, NAMES[i])) this.level = <LogLevel>i;
  }

  says(level: LogLevel): bool {
    return level >= this.level;
  }

  /** Writes a line, if that is wanted. */
  say(level: LogLevel, text: string): void {
    if (!this.says(level)) return;
    const name = viewToString(NAMES[level]);
    log(level < LogLevel.Info ? LogLevel.Warn : level, 'layotto: ' + name + ': ' + text);
  }

  /** A call or stream is over. Nothing that a caller has sent is said: not even a key. @param component its name */
  called(route: Route, component: View, place: i32, code: i32, microseconds: i64): void {
    const name = component != 0 ? viewToString(component) : place == NO_COMPONENT ? 'none' : UNKNOWN;
    const answer = code < FIRST_STATUS ? codeName(code) : code.toString();
    const what = route.door + ' ' + route.primitive + ' ' + route.operation + ', component ' + name;
    this.say(LogLevel.Debug, what + ': ' + answer + ' after ' + microseconds.toString() + ' us');
  }
}
