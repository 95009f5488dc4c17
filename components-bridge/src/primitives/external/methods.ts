import { createFileRegistry, fromBinary, ScalarType } from '@bufbuild/protobuf';
import type { DescMethodUnary } from '@bufbuild/protobuf';
import { FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';

import { readDescription } from '../../config/own-primitive.js';
import type { OwnPrimitive } from '../../config/types.js';
import { reasonOf } from '../errors.js';

/**
 * The methods of a primitive of one's own, by name, with the messages that they take and return.
 *
 * @throws Error that says why what its folder describes is of no use
 */
export function readMethods({ folder, service, operations }: OwnPrimitive): Map<string, DescMethodUnary> {
  const { descriptors } = readDescription(folder);
  let registry: ReturnType<typeof createFileRegistry>;
  try {
    registry = createFileRegistry(fromBinary(FileDescriptorSetSchema, Buffer.from(descriptors, 'base64')));
  } catch (error) {
    throw new Error(`the descriptors in ${folder} cannot be read: ${reasonOf(error)}`, { cause: error });
  }
  const found = registry.getService(service);
  if (found === undefined) throw new Error(`the descriptors in ${folder} have no service ${service}`);
  const methods = new Map<string, DescMethodUnary>();
  for (const { name, component } of operations) {
    const method = found.methods.find(
      (one): one is DescMethodUnary => one.name === name && one.methodKind === 'unary',
    );
    if (method === undefined)
      throw new Error(`the descriptors in ${folder} have no method ${name} of one request and one answer`);
    const field = method.input.fields.find((one) => one.name === component);
    if (field?.fieldKind !== 'scalar' || field.scalar !== ScalarType.STRING)
      throw new Error(`${method.input.typeName} has no text ${component}, which is to name the component`);
    methods.set(name, method);
  }
  return methods;
}
