import { TYPES } from './names.js';
import type { EnvoyObject } from './names.js';

/** What a route, or a whole route configuration, says to leave filters out. @param names of the filters */
export function without(names: readonly string[]): EnvoyObject {
  const off = { '@type': TYPES.filterConfig, disabled: true };
  return { typed_per_filter_config: Object.fromEntries(names.map((name) => [name, off])) };
}
