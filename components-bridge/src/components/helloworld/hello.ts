import type { ComponentContext } from '../../primitives/component.js';
import type { Greeter } from '../../primitives/hello/greeter.js';
import { metadataSchema } from './metadata.js';

const GREETING = 'greeting';

/** Greets with what it is told to. */
export async function open(context: Pick<ComponentContext, 'metadata'>): Promise<Greeter> {
  const { hello = GREETING } = metadataSchema.parse(context.metadata);
  return {
    greet: async (name) => (name === '' ? hello : `${hello}, ${name}`),
    close: async () => undefined,
  };
}
