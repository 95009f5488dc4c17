import { bindingMethods } from './binding.js';
import { configurationMethods } from './configuration.js';
import { fileMethods } from './file.js';
import { healthMethods } from './health.js';
import { helloMethods } from './hello.js';
import { lifecycleMethods } from './lifecycle.js';
import { lockMethods } from './lock.js';
import { metadataMethods } from './metadata.js';
import type { RuntimeFacts } from './metadata.js';
import type { Method } from './method.js';
import { pubsubMethods } from './pubsub.js';
import { secretMethods } from './secret.js';
import { sequencerMethods } from './sequencer.js';
import { stateMethods } from './state.js';

/** Every method that Layotto's and Dapr's gRPC doors serve, and gRPC's health, by path. */
export function doorMethods(facts: RuntimeFacts): ReadonlyMap<string, Method> {
  const methods: Method[] = [
    ...bindingMethods(),
    ...configurationMethods(),
    ...fileMethods(),
    ...helloMethods(),
    ...lifecycleMethods(),
    ...lockMethods(),
    ...metadataMethods(facts),
    ...pubsubMethods(),
    ...secretMethods(),
    ...sequencerMethods(),
    ...stateMethods(),
  ];
  const services = new Set(methods.map(({ path }) => path.slice(1, path.lastIndexOf('/'))));
  methods.push(...healthMethods(services));
  return new Map(methods.map((method) => [method.path, method]));
}
