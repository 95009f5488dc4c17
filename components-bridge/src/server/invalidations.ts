import { create, toBinary } from '@bufbuild/protobuf';

import { nearCacheAge } from '../config/near-cache.js';
import type { ComponentConfig } from '../config/types.js';
import { PushSchema } from '../gen/layotto/bridge/v1/session_pb.js';
import { calledKeys } from '../primitives/keys.js';
import type { KeyOwner } from '../primitives/keys.js';

/** Keys in one push; a push of more says `all`, which is shorter and no less true. */
const MOST_KEYS = 1_000;

/**
 * What filters are told when values that they may keep are out of date.
 *
 * @param stored the stored keys
 * @returns a Push message, or undefined if no filter keeps anything of it
 */
export function invalidation(
  component: ComponentConfig,
  stored: readonly string[] | 'all',
  owner: KeyOwner,
): Uint8Array | undefined {
  if (nearCacheAge(component) === undefined) return undefined;
  const { primitive, name } = component;
  const keys = stored === 'all' ? [] : calledKeys(component, owner, stored);
  const all = stored === 'all' || keys.length > MOST_KEYS;
  if (!all && keys.length === 0) return undefined;
  const said = { primitive, component: name, all, keys: all ? [] : keys };
  return toBinary(PushSchema, create(PushSchema, { invalidation: said }));
}
