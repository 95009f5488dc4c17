import { dirname } from 'node:path';

import { functionsSocket } from '../../components-bridge/src/config/sockets.js';
import { functionSlots } from '../../components-bridge/src/config/slots.js';
import type { RuntimeConfig } from '../../components-bridge/src/config/types.js';
import { functionsClusters, functionsListener, NOBODYS_ROUTES, routesOf } from '../functions-listener.js';
import type { FunctionRoute } from '../functions-listener.js';
import { TYPES } from '../names.js';
import type { EnvoyObject } from '../names.js';
import { slotFilter } from '../slots.js';
import type { MeshNames } from './options.js';
import { addPatch, DISCOVERED, SHARED_MODE } from './patches.js';

/** Behind it stand the functions that are called by their paths. */
const MARK = 'layotto.functions.triggered';

/**
 * The name of the routes. istiod makes routes of its own, which an EnvoyFilter can add to, only for names that are
 * numbers, and puts those of the mesh's services of that port among them: of this one there are none, for it is no port.
 */
function routesName({ port }: { port: number }): string {
  return String(100_000 + port);
}

/**
 * The listener of functions, its places, which are empty until a resource of each fills them, and the clusters that
 * functions name; nothing where the configuration has none.
 */
export function functionsPatches(config: RuntimeConfig, { appSocket }: MeshNames): EnvoyObject[] {
  const { functions } = config;
  if (functions === undefined) return [];
  const here = { ...config, listen: { ...config.listen, host: '127.0.0.1' } };
  const name = routesName(functions.listen);
  const listener = functionsListener(config, functions, {
    slots: functionSlots(functions.slots).map((slot) =>
      slotFilter(slot, DISCOVERED, { disabled: true, waits: false }),
    ),
    routes: { name, from: DISCOVERED },
    // Without the folder for it Envoy would refuse the listener, so only where something is to come by it.
    ...(isTriggered(config)
      ? { socket: { path: functionsSocket(dirname(appSocket)), mode: SHARED_MODE } }
      : {}),
  });
  const { triggered, others } = NOBODYS_ROUTES;
  return [
    ...functionsClusters(here, functions).map((cluster) => addPatch('CLUSTER', cluster)),
    addPatch('LISTENER', listener),
    // What stands first was put there last.
    routePatch(name, 'INSERT_FIRST', others),
    routePatch(name, 'INSERT_FIRST', { name: MARK, ...triggered }),
  ];
}

/** Whether events or schedules call functions. */
function isTriggered({ subscriptions = [], schedules = [] }: RuntimeConfig): boolean {
  return schedules.length > 0 || subscriptions.some((one) => one.function !== undefined);
}

/**
 * Has a route enable a slot's filter: Istio takes no config without content, as Envoy does, and Envoy takes any that it
 * knows. This one is of the filter that an empty slot is, says nothing to it, and is nothing to a module.
 */
const ENABLE: EnvoyObject = { '@type': TYPES.headerMutationPerRoute, mutations: {} };

/** What leads calls to a function, and where its EnvoyFilter stands among others. */
export function functionRoutePatches(
  { functions }: RuntimeConfig,
  one: FunctionRoute,
): { patches: EnvoyObject[]; priority: number } {
  if (functions === undefined) return { patches: [], priority: 0 };
  const name = routesName(functions.listen);
  const { look, byId, byPath } = routesOf(one, ENABLE);
  return {
    patches: [
      routePatch(name, 'INSERT_FIRST', byId),
      routePatch(name, 'INSERT_FIRST', look),
      ...(byPath === undefined ? [] : [routePatch(name, 'INSERT_AFTER', byPath, MARK)]),
    ],
    // After the listener's own routes. Of paths, the longest is put behind the mark last, so it is asked first.
    priority: 1 + (one.path ?? '').length,
  };
}

/** @param mark the route that it is put after */
function routePatch(name: string, operation: string, value: EnvoyObject, mark?: string): EnvoyObject {
  const vhost = mark === undefined ? {} : { vhost: { route: { name: mark } } };
  return {
    applyTo: 'HTTP_ROUTE',
    match: { context: 'SIDECAR_OUTBOUND', routeConfiguration: { name, ...vhost } },
    patch: { operation, value },
  };
}
