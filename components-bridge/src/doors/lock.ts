import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import type { DescMessage } from '@bufbuild/protobuf';

import { clip } from '../policy/clip.js';
import * as pb from '../gen/layotto/bridge/v1/lock_pb.js';
import { Code } from '../primitives/errors.js';
import { DAPR, forwarded, LAYOTTO, NOT_PROTOBUF } from './method.js';
import type { Answer, Behind, UnaryMethod } from './method.js';
import type { Refused } from './refused.js';

const LOCK = 'lock';

/** A request of any of these methods. */
interface Claim {
  storeName: string;
  resourceId: string;
  lockOwner: string;
  /** Seconds; absent in a call that has none. */
  expire?: number;
}

/** How one API says what is wrong with a call; neither adds details. */
interface Spelling {
  /** What the time to live is called. */
  expiry: string;
  /** Whether it is looked at before anything else. */
  expiryFirst: boolean;
}

const OF_LAYOTTO: Spelling = { expiry: 'Expire', expiryFirst: false };
const OF_DAPR: Spelling = { expiry: 'ExpiryInSeconds', expiryFirst: true };

/** The lock methods of both APIs: their messages are the bridge's, with other names in Dapr's. */
export function lockMethods(): UnaryMethod[] {
  const { TryLockRequestSchema, UnlockRequestSchema, LockKeepAliveRequestSchema } = pb;
  return [
    lockMethod(OF_LAYOTTO, `${LAYOTTO}TryLock`, 'TryLock', TryLockRequestSchema, '', tokenInHeader),
    lockMethod(OF_LAYOTTO, `${LAYOTTO}Unlock`, 'Unlock', UnlockRequestSchema, ''),
    lockMethod(OF_LAYOTTO, `${LAYOTTO}LockKeepAlive`, 'LockKeepAlive', LockKeepAliveRequestSchema, ''),
    lockMethod(
      OF_DAPR,
      `${DAPR}TryLockAlpha1`,
      'TryLock',
      TryLockRequestSchema,
      'failed to try acquiring lock: ',
      tokenInHeader,
    ),
    lockMethod(OF_DAPR, `${DAPR}UnlockAlpha1`, 'Unlock', UnlockRequestSchema, 'failed to release lock: '),
  ];
}

/** @param failing what stands before the reason of a failure */
function lockMethod(
  spelling: Spelling,
  path: string,
  name: string,
  request: DescMessage,
  failing: string,
  answer?: (payload: Uint8Array) => Answer,
): UnaryMethod {
  return forwarded({
    path,
    primitive: LOCK,
    operation: `${pb.Lock.typeName}/${name}`,
    request,
    malformed: { code: Code.INVALID_ARGUMENT, message: NOT_PROTOBUF },
    component: (asked) => (asked as unknown as Claim).storeName,
    check: (asked, behind) => check(spelling, asked as unknown as Claim, behind),
    ...(answer === undefined ? {} : { answer }),
    failed: ({ code, message }) => ({ code, message: failing + clip(message) }),
  });
}

/** The first thing wrong with a call, in the API's order. */
function check({ expiry, expiryFirst }: Spelling, claim: Claim, behind: Behind): Refused | undefined {
  const { storeName, resourceId, lockOwner, expire = 1 } = claim;
  const refused = (message: string): Refused => ({ code: Code.INVALID_ARGUMENT, message });
  const within = ` in lock store ${clip(storeName)}`;
  const expired = expire > 0 ? undefined : refused(`${expiry} is not positive${within}`);
  if (expiryFirst && expired !== undefined) return expired;
  const found = behind.find(LOCK, storeName) !== undefined;
  if (!found && !behind.serves(LOCK)) {
    return { code: Code.FAILED_PRECONDITION, message: 'lock store is not configured' };
  }
  if (resourceId === '') return refused(`ResourceId is empty${within}`);
  if (lockOwner === '') return refused(`LockOwner is empty${within}`);
  if (expired !== undefined) return expired;
  return found ? undefined : refused(`lock store ${clip(storeName)} not found`);
}

/** The fencing token is no part of either API's message: callers get it as a header. */
function tokenInHeader(payload: Uint8Array): Answer {
  const { success, fencingToken } = fromBinary(pb.TryLockResponseSchema, payload);
  const message = toBinary(pb.TryLockResponseSchema, create(pb.TryLockResponseSchema, { success }));
  return success ? { message, headers: { 'layotto-fencing-token': String(fencingToken) } } : { message };
}
