import * as pb from '../../components-bridge/src/gen/layotto/bridge/v1/lock_pb.js';
import { DAPR, LAYOTTO } from './doors.js';
import type { RawClient } from './grpc-raw.js';
import { httpJson, type Target } from './http1.js';

/** The header that carries the token of a lock that was taken. */
export const FENCING_TOKEN = 'layotto-fencing-token';

/** Locks through one door. */
export interface LockDoor {
  readonly name: string;
  /** The fencing token; undefined if the lock was not taken. */
  tryLock(store: string, resource: string, owner: string, seconds: number): Promise<bigint | undefined>;
  /** The status, as both APIs number it. */
  unlock(store: string, resource: string, owner: string): Promise<number>;
}

/** The Layotto or Dapr gRPC door. */
export class GrpcLockDoor implements LockDoor {
  constructor(
    readonly name: string,
    private readonly client: RawClient,
    private readonly methods: { tryLock: string; unlock: string },
  ) {}

  static layotto(client: RawClient): GrpcLockDoor {
    const methods = { tryLock: `${LAYOTTO}/TryLock`, unlock: `${LAYOTTO}/Unlock` };
    return new GrpcLockDoor('Layotto gRPC', client, methods);
  }

  static dapr(client: RawClient): GrpcLockDoor {
    const methods = { tryLock: `${DAPR}/TryLockAlpha1`, unlock: `${DAPR}/UnlockAlpha1` };
    return new GrpcLockDoor('Dapr gRPC', client, methods);
  }

  async tryLock(
    storeName: string,
    resourceId: string,
    lockOwner: string,
    expire: number,
  ): Promise<bigint | undefined> {
    const request = { storeName, resourceId, lockOwner, expire };
    const { methods, client } = this;
    const answer = await client.unary(
      methods.tryLock,
      pb.TryLockRequestSchema,
      request,
      pb.TryLockResponseSchema,
    );
    if (answer.grpcStatus !== 0) throw new Error(`${this.name}: ${answer.grpcStatus} ${answer.grpcMessage}`);
    return tokenOf(answer.message?.success === true, answer.headers);
  }

  async unlock(storeName: string, resourceId: string, lockOwner: string): Promise<number> {
    const request = { storeName, resourceId, lockOwner };
    const answer = await this.client.unary(
      this.methods.unlock,
      pb.UnlockRequestSchema,
      request,
      pb.UnlockResponseSchema,
    );
    if (answer.grpcStatus !== 0) throw new Error(`${this.name}: ${answer.grpcStatus} ${answer.grpcMessage}`);
    return answer.message?.status ?? -1;
  }
}

/** The Dapr HTTP door. */
export class HttpLockDoor implements LockDoor {
  readonly name = 'Dapr HTTP';

  constructor(private readonly target: Target) {}

  async tryLock(
    store: string,
    resourceId: string,
    lockOwner: string,
    expiryInSeconds: number,
  ): Promise<bigint | undefined> {
    const body = { resourceId, lockOwner, expiryInSeconds };
    const answer = await httpJson(this.target, 'POST', `/v1.0-alpha1/lock/${store}`, body);
    if (answer.status !== 200) throw new Error(`${this.name}: ${answer.status} ${answer.body}`);
    return tokenOf((answer.json as { success: boolean }).success, answer.headers);
  }

  async unlock(store: string, resourceId: string, lockOwner: string): Promise<number> {
    const body = { resourceId, lockOwner };
    const answer = await httpJson(this.target, 'POST', `/v1.0-alpha1/unlock/${store}`, body);
    if (answer.status !== 200) throw new Error(`${this.name}: ${answer.status} ${answer.body}`);
    return (answer.json as { status: number }).status;
  }
}

/** @throws Error if a lock that was taken has no token, or one that was not has one */
function tokenOf(success: boolean, headers: Record<string, unknown>): bigint | undefined {
  const header = headers[FENCING_TOKEN];
  if (success !== (header !== undefined))
    throw new Error(`success is ${success}, the token ${String(header)}`);
  return success ? BigInt(String(header)) : undefined;
}
