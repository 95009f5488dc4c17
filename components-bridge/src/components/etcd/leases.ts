import { randomBytes } from 'node:crypto';
import type { Logger } from 'pino';

import { Lease } from '../../gen/etcdserverpb/rpc_pb.js';
import { reasonOf } from '../../primitives/errors.js';
import type { EtcdConnection } from './connection.js';

/** Longest lease that etcd grants, in seconds. */
const LONGEST_TTL = 9_000_000_000;

/**
 * The upper 16 bits of the ids of our leases, of 64 that etcd lets its clients choose. Each of ours has one key at
 * most, so it can be given back with that key; another client's may have others.
 */
const OURS = 0x4c45n;

/** Leases that keys are attached to, so that they expire. etcd counts in seconds, and grants 2 at least. */
export class Leases {
  constructor(
    private readonly connection: EtcdConnection,
    private readonly log: Logger,
  ) {}

  /** A new lease for one key. @throws EtcdUnavailable or EtcdRefused */
  async grant(ttlSeconds: number): Promise<bigint> {
    const id = (OURS << 48n) | BigInt(`0x${randomBytes(6).toString('hex')}`);
    await this.connection.call(Lease.method.leaseGrant, {
      id,
      ttl: BigInt(Math.min(ttlSeconds, LONGEST_TTL)),
    });
    return id;
  }

  /** Gives leases back in the background, those that are not ours left out. A key still attached ends with them. */
  revoke(ids: readonly bigint[]): void {
    for (const id of ids) {
      if (id >> 48n !== OURS) continue;
      this.connection.call(Lease.method.leaseRevoke, { id }).catch((error: unknown) => {
        // It ends by itself, as late as its keys would have.
        this.log.debug({ reason: reasonOf(error) }, 'a lease could not be given back');
      });
    }
  }
}
