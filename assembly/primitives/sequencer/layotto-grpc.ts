// Ids as Layotto's gRPC API spells them (spec.proto.runtime.v1.Runtime). Dapr
// has none.

import { Listener, Tally } from '../../dialects/background';
import { Code } from '../../dialects/codes';
import { clip, Exchange, requestWriter, Step } from '../../dialects/exchange';
import { Handler, UNREADABLE } from '../../dialects/handler';
import { Router } from '../../dialects/router';
import {
  GetNextIdRequest,
  GetNextIdResponse,
  GetSegmentRequest,
  GetSegmentResponse,
  SequencerOptions_AutoIncrement,
} from '../../wire/gen/layotto/bridge/v1/sequencer';
import { View } from '../../wire/view';
import { IdRun, IdRuns } from './id-runs';
import { check, GET_NEXT_ID, GET_SEGMENT, Refusal, refusalCode, refusalText } from './operations';

/** A run that is asked for before the one at hand is used up. */
class Refill extends Listener {
  constructor(
    private readonly run: IdRun,
    private readonly tally: Tally,
  ) {
    super();
  }

  onResult(payload: View): void {
    const response = new GetSegmentResponse();
    this.run.asking = false;
    if (!response.decode(payload) || !isRun(response)) return;
    this.tally.runs++;
    this.run.fill(response.from, response.to);
  }

  onFailure(): void {
    this.run.asking = false;
  }
}

function isRun(response: GetSegmentResponse): bool {
  return response.from > 0 && response.from <= response.to;
}

/**
 * GetNextId. An id may be asked for twice: the first one is a gap then.
 *
 * WEAK ids of a component that gives runs come out of this filter's run of the key. Whoever finds none asks for a run;
 * who comes while that is under way asks for a single id, so that nobody waits for another.
 */
class GetNextId extends Handler {
  /** The run that is being asked for. */
  private run: IdRun | null = null;

  start(exchange: Exchange): Step {
    const request = new GetNextIdRequest();
    const refusal = request.decode(exchange.body) ? check(exchange, request) : Refusal.Malformed;
    if (refusal != Refusal.None) {
      exchange.reply.grpcError(refusalCode(refusal), refusalText(exchange, refusal, clip(request.storeName)));
      return Step.Answer;
    }
    exchange.operation = GET_NEXT_ID;
    exchange.idempotent = true;
    const run = this.runOf(exchange, request);
    return run === null ? Step.Ask : this.takeFrom(exchange, run, request);
  }

  /** Where the id may come from, if it may come from Envoy. */
  private runOf(exchange: Exchange, request: GetNextIdRequest): IdRun | null {
    const component = exchange.component;
    const options = request.options;
    if (component === null || !component.givesRuns) return null;
    if (options !== null && options.increment != SequencerOptions_AutoIncrement.WEAK) return null;
    const state = exchange.route!.state;
    return state === null ? null : (<IdRuns>state).of(component.index, request.key);
  }

  private takeFrom(exchange: Exchange, run: IdRun, request: GetNextIdRequest): Step {
    const id = run.take();
    if (id == 0) {
      if (run.asking) {
        exchange.tally.idsOfBridge++;
        return Step.Ask;
      }
      run.asking = true;
      this.run = run;
      segmentRequest(request).encode(exchange.requestWriter());
      exchange.operation = GET_SEGMENT;
      return Step.Ask;
    }
    exchange.tally.idsOfRuns++;
    if (run.wants) {
      const w = requestWriter(exchange.configuration.messageBytes);
      segmentRequest(request).encode(w);
      run.asking = exchange.askAlone(GET_SEGMENT, w, new Refill(run, exchange.tally));
    }
    // Last, because it gives up the request.
    answer(exchange, id);
    return Step.Answer;
  }

  onResult(exchange: Exchange, payload: View): void {
    const run = this.run;
    if (run === null) {
      exchange.reply.message(payload);
      return;
    }
    const response = new GetSegmentResponse();
    if (!response.decode(payload) || !isRun(response)) {
      this.onFailure(exchange, Code.INTERNAL, UNREADABLE);
      return;
    }
    run.fill(response.from, response.to);
    exchange.tally.runs++;
    exchange.tally.idsOfRuns++;
    answer(exchange, run.take());
  }

  onFailure(exchange: Exchange, code: i32, message: View): void {
    this.onGone();
    exchange.reply.grpcError(code, clip(message));
  }

  onGone(): void {
    const run = this.run;
    if (run !== null) run.asking = false;
  }
}

function segmentRequest(request: GetNextIdRequest): GetSegmentRequest {
  const segment = new GetSegmentRequest();
  segment.storeName = request.storeName;
  segment.key = request.key;
  return segment;
}

function answer(exchange: Exchange, id: i64): void {
  const response = new GetNextIdResponse();
  response.nextId = id;
  const w = exchange.writer();
  response.encode(w);
  exchange.answerMessage(w.view());
}

/** Enters Layotto's sequencer method. */
export function installLayottoSequencer(router: Router, runs: IdRuns): void {
  const path = '/spec.proto.runtime.v1.Runtime/GetNextId';
  router.grpc('sequencer', 'GetNextId', path, (): Handler => new GetNextId(), runs);
}
