// The one stage that every call and every stream of the filter passes, whichever
// door it came by and whoever answers it. The pipeline asks it three times: about
// the request's head (`access`), when it is known which operation it is (`enter`),
// and when the primitive has read the request (`leave`). In between, the primitive
// gets a component only through `admits`. What the rules allow takes a token of each limit
// that is about it (`spend`).

import { Configuration } from '../config/configuration';
import { Policy, PolicyRule } from '../config/policy';
import { Code } from '../dialects/codes';
import { Door } from '../dialects/door';
import { clip, Exchange, Step } from '../dialects/exchange';
import { Gate } from '../dialects/gate';
import { HeaderMap, LogLevel } from '../host/enums';
import { addHeader, removeHeader } from '../host/headers';
import { logBytes } from '../host/log';
import { Denials } from '../metrics/denials';
import { ByteWriter } from '../wire/bytes';
import { literal, View, viewEquals, viewLen, viewOf } from '../wire/view';
import { checkAccess } from './access';
import { identify, ownIdentity } from './identity';
import { RateLimits } from './rate-limits';
import { ALLOWED, Caller, decide, relevantRules, Subject } from './rules';

/** Tells the bridge who opens a stream. */
const CALLER = literal('x-layotto-caller');

const FIRST_ERROR: i32 = 400;
const DEFAULT = literal('default');
const PUBSUB = literal('pubsub');
const DENIED = 'layotto_policy_denials_total;rule=';
const LIMITED = 'layotto_rate_limit_refusals_total;limit=';
const RETRY_AFTER = literal('retry-after');

export class PolicyStage extends Gate {
  private readonly caller: Caller = new Caller();
  private readonly subject: Subject = new Subject();
  private readonly own: ArrayBuffer | null;
  private readonly policy: Policy | null;
  private readonly denials: Denials | null;
  private readonly limits: RateLimits | null;
  private readonly limited: Denials | null;
  private readonly asksWho: bool;
  /** By a route's index: the rules that can matter to it. */
  private readonly plans: Map<i32, Array<PolicyRule>> = new Map<i32, Array<PolicyRule>>();
  /** Which rule denied when the rules were asked last. */
  private rule: i32 = ALLOWED;

  constructor(private readonly configuration: Configuration) {
    super();
    const policy = configuration.policy;
    this.policy = policy;
    this.denials = policy === null ? null : new Denials(DENIED, namesOf(policy.rules).concat([DEFAULT]));
    const limited = policy !== null && policy.limits.length > 0;
    this.limits = limited ? new RateLimits(policy!.limits) : null;
    this.limited = limited
      ? new Denials(LIMITED, namesOf(policy!.limits.map<PolicyRule>((limit) => limit.rule)))
      : null;
    this.asksWho = policy !== null && policy.asksWho;
    this.own = policy !== null && this.asksWho ? ownIdentity(policy) : null;
  }

  /** SPIFFE id of the workload that this Envoy is beside, if a rule asks who calls; good as long as this stage. */
  get ownId(): View {
    const own = this.own;
    return own === null ? 0 : viewOf(own);
  }

  /** Whether who calls may call at all: no browsers, no foreign hosts, and the API token. The refusal is filled in. */
  access(door: Door, exchange: Exchange): bool {
    return checkAccess(this.configuration, door, exchange);
  }

  /** Whether the operation may be called at all, with whatever component. The refusal is filled in. */
  enter(door: Door, exchange: Exchange): bool {
    const policy = this.policy;
    if (policy === null) return true;
    exchange.gate = this;
    if (this.asksWho) identify(exchange);
    const subject = this.subjectOf(exchange);
    subject.componentKnown = false;
    if (this.ask(policy, exchange, false)) return true;
    this.refuse(door, exchange, 0);
    return false;
  }

  admits(exchange: Exchange, name: View): bool {
    const policy = this.policy;
    if (policy === null) return true;
    if (exchange.denied) return false;
    const subject = this.subjectOf(exchange);
    subject.component = name;
    if (this.ask(policy, exchange, exchange.remote)) return true;
    // The request that it stands in may be gone when the refusal is written.
    subject.component = exchange.keep(clip(name));
    return false;
  }

  /**
   * Whether what the primitive made of the request may go on. A refusal of its own, of a request that named no
   * component, stands. The refusal is filled in.
   */
  leave(door: Door, exchange: Exchange, step: Step): bool {
    const policy = this.policy;
    if (policy === null) return true;
    const name = this.subject.component;
    if (!exchange.denied) {
      // A refusal of the primitive's own costs nothing.
      if (step == Step.Answer && isRefusal(exchange)) return true;
      if (exchange.componentAsked) return this.spend(door, exchange);
      this.subjectOf(exchange);
      if (this.ask(policy, exchange, exchange.remote)) return this.spend(door, exchange);
    }
    exchange.reply.reset();
    this.refuse(door, exchange, exchange.denied ? name : 0);
    return false;
  }

  /**
   * Takes what the limits ask of a call, or of a stream, whose component is not known here: limits that name components
   * do not count it. The refusal is filled in.
   */
  spend(door: Door, exchange: Exchange): bool {
    const limits = this.limits;
    if (limits === null) return true;
    const at = limits.take(this.caller, this.subject);
    if (at < 0) return true;
    const limited = this.limited;
    if (limited !== null) limited.count(at);
    exchange.reply.reset();
    const w = exchange.writer();
    w.text('too many calls: the limit "');
    w.raw(this.policy!.limits[at].rule.name);
    w.text('" of the policy is met; try again in ');
    w.decimal(limits.waitMs);
    w.text(' ms');
    door.refuse(exchange, Code.RESOURCE_EXHAUSTED, w.view());
    // RFC 9110, 10.2.3: whole seconds.
    const seconds = exchange.writer();
    seconds.decimal((limits.waitMs + 999) / 1000);
    exchange.reply.headers.add(RETRY_AFTER, seconds.view());
    return false;
  }

  /** Whether a call of the app that is not for the runtime may pass to a callee. The refusal is filled in. */
  passes(door: Door, exchange: Exchange, callee: View): bool {
    const policy = this.policy;
    if (policy === null) return true;
    const subject = this.subjectOf(exchange);
    subject.component = callee;
    if (this.ask(policy, exchange, true)) return this.spend(door, exchange);
    this.refuse(door, exchange, callee);
    return false;
  }

  /** Tells the bridge who calls, of a stream that passes to it. What the caller has said of that itself is dropped. */
  vouch(exchange: Exchange): void {
    if (exchange.headers.has(CALLER)) removeHeader(HeaderMap.RequestHeaders, CALLER);
    const id = exchange.remote ? exchange.caller : this.ownId;
    if (!exchange.remote && id == 0) return;
    const w = exchange.writer();
    w.text(exchange.remote ? 'remote:' : 'own:');
    w.raw(id);
    addHeader(HeaderMap.RequestHeaders, CALLER, w.view());
  }

  /** Hands over what was counted. */
  tell(): void {
    const denials = this.denials;
    if (denials !== null) denials.flush();
    const limited = this.limited;
    if (limited !== null) limited.flush();
  }

  /** Of a call that names no component, and asks for nothing that it has not named. */
  private subjectOf(exchange: Exchange): Subject {
    const subject = this.subject;
    const route = exchange.route!;
    subject.primitive = route.primitiveName;
    subject.operation = route.operationName;
    subject.component = 0;
    subject.componentKnown = true;
    subject.name = exchange.subject;
    subject.nameKnown = exchange.subjectKnown;
    return subject;
  }

  private ask(policy: Policy, exchange: Exchange, strict: bool): bool {
    const caller = this.caller;
    caller.app = exchange.remote ? 0 : this.configuration.appId;
    caller.spiffe = exchange.remote ? exchange.caller : this.ownId;
    this.rule = decide(this.rulesFor(policy, exchange), policy.denies, this.subject, strict);
    return this.rule == ALLOWED;
  }

  /** Those for the app beside this Envoy are found once for each route. */
  private rulesFor(policy: Policy, exchange: Exchange): Array<PolicyRule> {
    const route = exchange.route!;
    if (!exchange.remote && this.plans.has(route.index)) return this.plans.get(route.index);
    const rules = relevantRules(policy, this.caller, route.primitiveName, route.operationName);
    if (!exchange.remote) this.plans.set(route.index, rules);
    return rules;
  }

  private refuse(door: Door, exchange: Exchange, component: View): void {
    const denials = this.denials;
    if (denials !== null) denials.count(this.rule);
    const text = exchange.writer();
    this.explain(text, exchange, component);
    logBytes(LogLevel.Debug, text.view());
    const handler = exchange.handler;
    const ofComponent = this.rule >= 0 && this.policy!.rules[this.rule].ofStore;
    if (ofComponent && handler !== null && handler.onDenied(exchange, text.view())) return;
    door.refuse(exchange, Code.PERMISSION_DENIED, text.view());
  }

  private explain(w: ByteWriter, exchange: Exchange, component: View): void {
    const rules = this.policy!.rules;
    const rule = this.rule >= 0 ? rules[this.rule] : null;
    if (rule !== null && rule.ofStore && exchange.subjectKnown) {
      // The words of Dapr's API for the rules that stand with a component.
      if (viewEquals(exchange.route!.primitiveName, PUBSUB)) {
        w.text('topic ');
        w.raw(clip(exchange.subject));
        w.text(' is not allowed for app id ');
        w.raw(exchange.remote ? clip(exchange.caller) : this.configuration.appId);
        return;
      }
      w.text('access denied by policy to get "');
      w.raw(clip(exchange.subject));
      w.text('" from "');
      w.raw(component);
      w.text('"');
      return;
    }
    const route = exchange.route!;
    w.text(exchange.remote ? 'caller "' : 'app "');
    w.raw(exchange.remote ? clip(exchange.caller) : this.configuration.appId);
    w.text('" may not call ');
    w.text(route.primitive);
    w.text(' ');
    w.text(route.operation);
    if (viewLen(component) > 0) {
      w.text(' of component "');
      w.raw(component);
      w.text('"');
    }
    if (exchange.subjectKnown) {
      w.text(' for "');
      w.raw(clip(exchange.subject));
      w.text('"');
    }
    w.text(': denied by the policy, ');
    if (rule === null) w.text('by default');
    else {
      w.text('rule "');
      w.raw(rule.name);
      w.text('"');
    }
  }
}

function namesOf(rules: Array<PolicyRule>): Array<View> {
  return rules.map<View>((rule) => rule.name);
}

function isRefusal(exchange: Exchange): bool {
  const reply = exchange.reply;
  return reply.grpcStatus >= 0 ? reply.grpcStatus != <i32>Code.OK : reply.status >= FIRST_ERROR;
}
