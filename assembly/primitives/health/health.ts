// Health in Dapr's HTTP API, answered inside Envoy: a worker is healthy when it
// can reach the bridge, because then it can serve. Layotto's is the actuator's.

import { answerEmpty, answerError } from '../../dialects/dapr-http';
import { Exchange, Step } from '../../dialects/exchange';
import { Handler } from '../../dialects/handler';
import { QueryReader } from '../../wire/percent';
import { Router } from '../../dialects/router';
import { literal, viewEquals } from '../../wire/view';
import { installActuator } from '../actuator/actuator';

const APP_ID = literal('appid');
const NOT_READY = literal('dapr is not ready');
const OUTBOUND_NOT_READY = literal('dapr outbound is not ready');
const OTHER_APP = literal('dapr app-id does not match');
const ERR_HEALTH_NOT_READY = literal('ERR_HEALTH_NOT_READY');
const ERR_OUTBOUND_HEALTH_NOT_READY = literal('ERR_OUTBOUND_HEALTH_NOT_READY');
const ERR_HEALTH_APPID_NOT_MATCH = literal('ERR_HEALTH_APPID_NOT_MATCH');

/** GET /v1.0/healthz, optionally ?appid= */
class Healthz extends Handler {
  start(exchange: Exchange): Step {
    if (!exchange.ready) answerError(exchange, 500, ERR_HEALTH_NOT_READY, NOT_READY);
    else if (asksForOther(exchange)) answerError(exchange, 500, ERR_HEALTH_APPID_NOT_MATCH, OTHER_APP);
    else answerEmpty(exchange);
    return Step.Answer;
  }
}

function asksForOther(exchange: Exchange): bool {
  const query = new QueryReader();
  query.reset(exchange.query);
  while (query.next()) {
    if (viewEquals(query.key, APP_ID)) return !viewEquals(query.value, exchange.configuration.appId);
  }
  return false;
}

/** GET /v1.0/healthz/outbound */
class OutboundHealthz extends Handler {
  start(exchange: Exchange): Step {
    if (exchange.ready) answerEmpty(exchange);
    else answerError(exchange, 500, ERR_OUTBOUND_HEALTH_NOT_READY, OUTBOUND_NOT_READY);
    return Step.Answer;
  }
}

/** Enters the health routes of Dapr's HTTP API, and Layotto's actuator. */
export function installHealth(router: Router): void {
  installActuator(router);
  router.http('health', 'Healthz', 'GET', '/v1.0/healthz', (): Handler => new Healthz());
  router.http(
    'health',
    'OutboundHealthz',
    'GET',
    '/v1.0/healthz/outbound',
    (): Handler => new OutboundHealthz(),
  );
}
