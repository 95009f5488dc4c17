// A doorkeeper: every request with a ticket waits until another service has
// said whose it is, and goes on with that name. What the tickets are worth is
// counted in Envoy's statistics.

import {
  Action,
  Buffer,
  Bytes,
  bytesPtr,
  constant,
  Counter,
  equal,
  getBuffer,
  getHeader,
  GRPC_STATUS_NONE,
  HeaderList,
  HeaderMap,
  HttpCallout,
  HttpContext,
  registerRoot,
  release,
  removeHeader,
  replaceHeader,
  resume,
  RootContext,
  sendLocalResponse,
  Status,
} from 'layotto-proxy-wasm';

export * from 'layotto-proxy-wasm/exports';

const METHOD = constant(':method');
const PATH = constant(':path');
const AUTHORITY = constant(':authority');
const STATUS = constant(':status');
const GET = constant('GET');
const OK = constant('200');
const TICKETS = constant('/tickets');
const TICKET = constant('x-ticket');
const VISITOR = constant('x-visitor');
const OFFICE = constant('ticket_office');
const NO_TICKET = constant('show your ticket in x-ticket\n');
const BAD_TICKET = constant('this ticket is not good\n');
const NOBODY_THERE = constant('the ticket office is closed; try again later\n');

/** What the status of a server's own failure begins with. */
const FIVE: u8 = 0x35;

/** How long the office may take, in milliseconds. */
const PATIENCE: u32 = 1000;

class Question extends HttpCallout {
  constructor(
    private readonly keeper: Keeper,
    private readonly visit: Visit,
  ) {
    super(keeper);
  }

  onResponse(headers: u32, bodySize: u32): void {
    const status = getHeader(HeaderMap.HttpCallResponseHeaders, STATUS);
    const known = equal(status, OK);
    const closed = status == 0 || load<u8>(bytesPtr(status)) == FIVE;
    release(status);
    const name = known ? getBuffer(Buffer.HttpCallResponseBody, 0, bodySize) : 0;
    if (!this.visit.activate()) return release(name);
    if (known) this.keeper.welcome(name);
    else this.keeper.refuse(closed ? 503 : 403, closed ? NOBODY_THERE : BAD_TICKET);
    release(name);
  }
}

class Visit extends HttpContext {
  constructor(
    id: u32,
    private readonly keeper: Keeper,
  ) {
    super(id);
  }

  onRequestHeaders(count: u32, endOfStream: bool): Action {
    const ticket = getHeader(HeaderMap.RequestHeaders, TICKET);
    // Nobody but this filter says who is who.
    removeHeader(HeaderMap.RequestHeaders, VISITOR);
    if (ticket == 0) {
      this.keeper.refuse(401, NO_TICKET);
      return Action.Pause;
    }
    const headers = new HeaderList();
    headers.add(METHOD, GET);
    headers.add(PATH, TICKETS);
    headers.add(AUTHORITY, OFFICE);
    headers.add(TICKET, ticket);
    const sent = new Question(this.keeper, this).send(OFFICE, headers, 0, PATIENCE);
    release(ticket);
    if (sent != Status.Ok && this.activate()) this.keeper.refuse(503, NOBODY_THERE);
    return Action.Pause;
  }
}

class Keeper extends RootContext {
  private readonly good: Counter = new Counter(constant('keeper_good'));
  private readonly bad: Counter = new Counter(constant('keeper_bad'));

  onConfigure(size: u32): bool {
    return true;
  }

  createHttpContext(id: u32): HttpContext {
    return new Visit(id, this);
  }

  welcome(name: Bytes): void {
    this.good.add(1);
    replaceHeader(HeaderMap.RequestHeaders, VISITOR, name);
    resume();
  }

  refuse(status: u32, why: Bytes): void {
    this.bad.add(1);
    sendLocalResponse(status, new HeaderList(), why, GRPC_STATUS_NONE);
  }
}

registerRoot((id: u32): RootContext => new Keeper(id));
