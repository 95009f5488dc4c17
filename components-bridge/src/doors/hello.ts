import { clip } from '../policy/clip.js';
import * as pb from '../gen/layotto/bridge/v1/hello_pb.js';
import { Code } from '../primitives/errors.js';
import { forwarded, LAYOTTO, NOT_PROTOBUF } from './method.js';
import type { UnaryMethod } from './method.js';

const HELLO = 'hello';

/** Layotto's greeting, which Dapr has not. */
export function helloMethods(): UnaryMethod[] {
  return [
    forwarded({
      path: `${LAYOTTO}SayHello`,
      primitive: HELLO,
      operation: `${pb.Hellos.typeName}/SayHello`,
      request: pb.SayHelloRequestSchema,
      malformed: { code: Code.INVALID_ARGUMENT, message: NOT_PROTOBUF },
      component: ({ serviceName }) => serviceName,
      check: ({ serviceName }, behind) =>
        behind.find(HELLO, serviceName) === undefined
          ? { code: Code.INVALID_ARGUMENT, message: 'no instance found' }
          : undefined,
      failed: ({ code, message }) => ({ code, message: clip(message) }),
    }),
  ];
}
