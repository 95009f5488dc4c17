import * as pb from '../gen/layotto/bridge/v1/lifecycle_pb.js';
import { Code } from '../primitives/errors.js';
import { forwarded, NOT_PROTOBUF } from './method.js';
import type { UnaryMethod } from './method.js';

/** Layotto's Lifecycle service. Which components there are, and what settings are good, the operation knows. */
export function lifecycleMethods(): UnaryMethod[] {
  return [
    forwarded({
      path: '/spec.proto.runtime.v1.Lifecycle/ApplyConfiguration',
      primitive: 'lifecycle',
      operation: `${pb.Lifecycle.typeName}/ApplyConfiguration`,
      request: pb.DynamicConfigurationSchema,
      malformed: { code: Code.INVALID_ARGUMENT, message: NOT_PROTOBUF },
      component: () => undefined,
      check: ({ componentConfig }) => {
        const missing = missingIn(componentConfig);
        if (missing === undefined) return undefined;
        return { code: Code.INVALID_ARGUMENT, message: `field ${missing} is not configured` };
      },
      failed: (failure) => failure,
    }),
  ];
}

function missingIn(settings: pb.ComponentSettings | undefined): string | undefined {
  if (settings === undefined || settings.kind === '') return 'kind';
  if (settings.name === '') return 'name';
  return Object.keys(settings.metadata).length === 0 ? 'metadata' : undefined;
}
