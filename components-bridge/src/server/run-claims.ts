import { randomUUID } from 'node:crypto';

import { lockPrefix, storedKey } from '../primitives/keys.js';
import type { LockStore } from '../primitives/lock/lock-store.js';
import type { ComponentRegistry } from '../primitives/registry.js';

/**
 * How long a run stays claimed, in seconds. A lock is not given back after the run: another replica whose clock is late, or
 * that slept, must not run it again.
 */
const CLAIMED_S = 300;

/** Who makes a run of a schedule that several replicas of an app have. */
export class RunClaims {
  /** Of this bridge. */
  readonly #owner = randomUUID();

  constructor(
    private readonly registry: ComponentRegistry,
    private readonly appId: string,
  ) {}

  /**
   * Takes a run for this replica.
   *
   * @param store name of the lock component
   * @param time when the run was due, the same in all replicas
   * @returns whether it is this one's; another replica has it if not
   * @throws Error that says why it is not known
   */
  async take(store: string, schedule: string, time: string): Promise<boolean> {
    const slot = this.registry.find('lock', store);
    if (slot === undefined) throw new Error(`there is no lock store ${store}`);
    return slot.use(async () => {
      const locks = slot.instance as LockStore | undefined;
      if (locks === undefined) throw new Error(`lock store ${store} is not ready: ${slot.reason}`);
      const resource = ['layotto-schedule', this.appId, schedule, time].map(encodeURIComponent).join('/');
      const prefix = lockPrefix(slot.config, { appId: this.appId, namespace: '' });
      const claim = { key: storedKey(prefix, resource), owner: this.#owner, expirySeconds: CLAIMED_S };
      return (await locks.tryLock(claim)) !== undefined;
    });
  }
}
