// Whether this Envoy lives, and whether it can serve.

import { Component, Standing } from '../../config/configuration';
import { answerJson } from '../../dialects/dapr-http';
import { Exchange, Step } from '../../dialects/exchange';
import { Handler } from '../../dialects/handler';
import { TrapList, Traps } from '../../host/roll';
import { ByteWriter } from '../../wire/bytes';
import { jsonString } from '../../wire/json-writer';
import { literal, View, viewLen } from '../../wire/view';

const ALIVE = literal(
  '{"components":{"runtime_startup":{"status":"UP","details":{"reason":""}}},"status":"UP"}',
);
const UP = literal('UP');
const DOWN = literal('DOWN');
const INIT = literal('INIT');
const UNKNOWN = literal('UNKNOWN');
const STARTING = literal('starting');
const AWAY = literal('the components bridge is not connected');

/**
 * GET /actuator/health/liveness: whoever can ask gets an answer. A lost bridge or store is no reason to start this
 * process anew; both come back by themselves (decision 0028).
 */
export class Liveness extends Handler {
  start(exchange: Exchange): Step {
    answerJson(exchange, 200, ALIVE);
    return Step.Answer;
  }
}

/**
 * GET /actuator/health/readiness: the bridge, each component as the bridge said last, and each module that has trapped.
 * Whoever answers here is a virtual machine that works, so traps are told and change nothing else (decision 0105).
 */
export class Readiness extends Handler {
  private down: bool = false;

  start(exchange: Exchange): Step {
    const w = exchange.writer();
    w.text('{"components":{"runtime_startup":{"status":');
    w.text(exchange.started ? '"UP","details":{"reason":""}}' : '"INIT","details":{"reason":"starting"}}');
    this.bridge(w, exchange);
    const components = exchange.configuration.components;
    let starting = !exchange.started;
    for (let i = 0; i < components.length; i++) {
      this.component(w, components[i], exchange.ready);
      if (components[i].standing == Standing.Starting) starting = true;
    }
    this.traps(w);
    w.text('},"status":');
    jsonString(w, this.down ? DOWN : starting ? INIT : UP);
    w.text('}');
    answerJson(exchange, this.down || starting ? 503 : 200, w.view());
    return Step.Answer;
  }

  private bridge(w: ByteWriter, exchange: Exchange): void {
    w.text(',"bridge":');
    if (exchange.ready) this.standing(w, UP, 0);
    else if (!exchange.started) this.standing(w, INIT, STARTING);
    else this.standing(w, DOWN, AWAY);
  }

  private component(w: ByteWriter, component: Component, ready: bool): void {
    w.text(',');
    const name = new ByteWriter();
    name.raw(component.primitive);
    name.text('-');
    name.raw(component.name);
    jsonString(w, name.view());
    name.free();
    w.text(':');
    if (!ready) this.standing(w, UNKNOWN, AWAY);
    else if (component.standing == Standing.Up) this.standing(w, UP, 0);
    else this.standing(w, component.standing == Standing.Down ? DOWN : INIT, component.reason);
  }

  private traps(w: ByteWriter): void {
    const list = new TrapList();
    for (let i = 0; i < list.traps.length; i++) this.trapped(w, list.traps[i]);
    list.free();
  }

  private trapped(w: ByteWriter, traps: Traps): void {
    const text = new ByteWriter();
    text.text('module-');
    text.raw(traps.name);
    w.text(',');
    jsonString(w, text.view());
    w.text(':');
    text.reset();
    text.text('it trapped ');
    text.decimal(traps.count);
    text.text(traps.count == 1 ? ' time, ' : ' times, last ');
    text.decimal(traps.secondsAgo);
    text.text(' s ago; Envoy starts it anew at the next call');
    this.standing(w, UP, text.view());
    text.free();
  }

  private standing(w: ByteWriter, status: View, reason: View): void {
    if (status == DOWN) this.down = true;
    w.text('{"status":');
    jsonString(w, status);
    if (viewLen(reason) > 0) {
      w.text(',"details":{"reason":');
      jsonString(w, reason);
      w.text('}');
    }
    w.text('}');
  }
}
