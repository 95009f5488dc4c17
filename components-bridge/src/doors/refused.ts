import { create, toBinary } from '@bufbuild/protobuf';
import type { DescMessage, MessageInitShape } from '@bufbuild/protobuf';

import * as pb from '../gen/google/rpc/status_pb.js';
import type { Code } from '../primitives/errors.js';

/** What Dapr says of a failure beside its text. */
export interface Details {
  /** The request's value that is wrong, if it is one. */
  field?: string;
  /** The component it is about. */
  resource?: { type: string; name: string };
  /** Dapr's error code, such as `DAPR_STATE_NOT_FOUND`. */
  reason: string;
  /** What else is said of it. */
  metadata?: Readonly<Record<string, string>>;
}

/** How a call ends that is not answered. */
export interface Refused {
  code: Code;
  message: string;
  /** Value of `grpc-status-details-bin`, before base64: a google.rpc.Status. */
  details?: Uint8Array;
  /** Further headers. */
  headers?: Readonly<Record<string, string>>;
  /** What stands with the component denies it, in words of its own. */
  ofComponent?: true;
}

/** One API's way to refuse a call. */
export type Refuse = (code: Code, message: string, details: Details) => Refused;

/** Layotto's: a plain status. */
export const plainly: Refuse = (code, message) => ({ code, message });

/** Dapr's: with google.rpc error details, in the order in which Dapr sends them. */
export const withDetails: Refuse = (code, message, { field, resource, reason, metadata = {} }) => {
  const details: pb.Detail[] = [];
  if (field !== undefined) {
    const violation = { field, description: message };
    details.push(detail(pb.BadRequestSchema, { fieldViolations: [violation] }));
  }
  if (resource !== undefined) {
    details.push(detail(pb.ResourceInfoSchema, { resourceType: resource.type, resourceName: resource.name }));
  }
  details.push(detail(pb.ErrorInfoSchema, { reason, domain: 'dapr.io', metadata }));
  const status = create(pb.StatusSchema, { code, message, details });
  return { code, message, details: toBinary(pb.StatusSchema, status) };
};

function detail<Desc extends DescMessage>(schema: Desc, message: MessageInitShape<Desc>): pb.Detail {
  const value = toBinary(schema, create(schema, message));
  return create(pb.DetailSchema, { typeUrl: `type.googleapis.com/${schema.typeName}`, value });
}
