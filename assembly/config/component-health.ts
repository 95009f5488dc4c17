// Where components stand, as the bridge said last: kept with each component of
// the configuration, so that health is answered here, also when no bridge is.

import { Health } from '../wire/gen/layotto/bridge/v1/session';
import { ComponentHealth_Status } from '../wire/gen/layotto/bridge/v1/session';
import { literal, View, viewLen, viewSlice } from '../wire/view';
import { Component, Configuration, Standing } from './configuration';

/** Longest reason that is kept, in bytes. */
const REASON_BYTES: i32 = 512;

const STARTING = literal('starting');
const MISSING = literal('the components bridge does not have this component: its configuration differs');

/** Takes over what the bridge says of all its components. What it says of others is left alone. */
export function noteHealth(configuration: Configuration, health: Health): void {
  const components = configuration.components;
  for (let i = 0; i < components.length; i++) {
    components[i].standing = Standing.Down;
    components[i].setReason(MISSING);
  }
  for (let i = 0; i < health.components.length; i++) {
    const said = health.components[i];
    const component = configuration.find(said.primitive, said.name);
    if (component !== null) note(component, said.status, said.reason);
  }
}

/** A component that fails to open is tried again, but it is down as long as there is a reason. */
function note(component: Component, status: i32, reason: View): void {
  if (status == ComponentHealth_Status.READY) component.standing = Standing.Up;
  else if (status == ComponentHealth_Status.CONNECTING && viewLen(reason) == 0) {
    component.standing = Standing.Starting;
    component.setReason(STARTING);
    return;
  } else component.standing = Standing.Down;
  component.setReason(viewSlice(reason, 0, REASON_BYTES));
}
