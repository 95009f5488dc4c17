// What a module says of itself to the build, which puts it into the module's
// section `layotto.module`. Envoy never calls it.

import { neededServices } from './dialects/bridge-method';
import { createRoot } from './host/context';
import { Runtime } from './root';
import { PROTOCOL } from './session/fitness';
import { VERSION } from './version';
import { ByteWriter } from './wire/bytes';
import { View } from './wire/view';

/** Lines of words: `version V`, `protocol N`, `service NAME`, and `route DOOR PRIMITIVE` for each route. */
export function layotto_describe(): View {
  const w = new ByteWriter();
  w.text('version ' + VERSION + '\nprotocol ' + PROTOCOL.toString() + '\n');
  const services = neededServices();
  for (let i = 0; i < services.length; i++) w.text('service ' + services[i] + '\n');
  const routes = (<Runtime>createRoot(0)).router.routes;
  for (let i = 0; i < routes.length; i++)
    w.text('route ' + routes[i].door + ' ' + routes[i].primitive + '\n');
  return w.view();
}
