// Layotto's actuator: health, facts and log levels over HTTP. All but the log
// levels are answered inside Envoy, so that they are there while the bridge is
// away.

import { answerJson } from '../../dialects/dapr-http';
import { Exchange, Step } from '../../dialects/exchange';
import { Handler } from '../../dialects/handler';
import { Router } from '../../dialects/router';
import { literal } from '../../wire/view';
import { Liveness, Readiness } from './health';
import { Info } from './info';
import { GetLoggers, SetLogger } from './logger';

const NOTHING = literal('{}');
const ACTUATOR = 'actuator';

/** /actuator/health without a type, or with one that there is not (reference: Layotto answers so). */
class UnknownHealth extends Handler {
  start(exchange: Exchange): Step {
    answerJson(exchange, 500, NOTHING);
    return Step.Answer;
  }
}

/** Enters the actuator's routes. */
export function installActuator(router: Router): void {
  const health = '/actuator/health';
  router.http(ACTUATOR, 'Liveness', 'GET', health + '/liveness', (): Handler => new Liveness());
  router.http(ACTUATOR, 'Readiness', 'GET', health + '/readiness', (): Handler => new Readiness());
  router.http(ACTUATOR, 'UnknownHealth', 'GET', health, (): Handler => new UnknownHealth());
  router.http(ACTUATOR, 'UnknownHealth', 'GET', health + '/{}', (): Handler => new UnknownHealth());
  router.http(ACTUATOR, 'Info', 'GET', '/actuator/info', (): Handler => new Info());
  router.http(ACTUATOR, 'GetLoggers', 'GET', '/actuator/logger', (): Handler => new GetLoggers());
  router.http(ACTUATOR, 'SetLogger', 'POST', '/actuator/logger', (): Handler => new SetLogger());
}
