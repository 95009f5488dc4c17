// Which methods of the bridge a module may call: each is declared once, at the
// top of a file, so a module knows all of them before its first call.

import { literal, View } from '../wire/view';

/** Grows while the module's files start, and never after. */
const services = new Array<string>();

/**
 * A method of the bridge, to be declared at the top level of a file only. Its service is one that the module needs.
 *
 * @param name full name, for example `layotto.bridge.v1.State/GetState`
 */
export function bridgeMethod(name: string): View {
  const service = name.substring(0, name.indexOf('/'));
  if (!services.includes(service)) services.push(service);
  return literal(name);
}

/** Full names of the bridge's services that the module calls. */
export function neededServices(): Array<string> {
  return services;
}
