import type { ComponentContext } from '../../primitives/component.js';
import { open as openLock } from './lock.js';
import type { RedisLockStore } from './lock.js';

/** The same as lock.redis with redisType: cluster; Layotto has a type of its own for it. */
export function open(context: ComponentContext): Promise<RedisLockStore> {
  return openLock({ ...context, metadata: { ...context.metadata, redisType: 'cluster' } });
}
