/** What the app may do, as layotto.yaml says it. */
export interface PolicyConfig {
  /** What holds where no rule does. */
  default: Effect;
  /** The first part of SPIFFE ids in this mesh. */
  trustDomain: string;
  rules: PolicyRule[];
  /** Absent: none. */
  limits?: PolicyLimit[];
}

export type Effect = 'allow' | 'deny';

/** What a rule is about. A list that is empty does not matter. */
export interface Conditions {
  primitives: string[];
  /** Canonical names, the same behind every door, such as `GetState`. */
  operations: string[];
  /** Names; what ends in `*` stands for everything that begins like it, here and below. */
  components: string[];
  /** Names of secrets. */
  secrets: string[];
  topics: string[];
}

export interface PolicyRule extends Conditions {
  name: string;
  effect: Effect;
  /** App ids, and SPIFFE ids (which begin with `spiffe://`). */
  apps: string[];
}

/** What a limit may count by itself. */
export type LimitScope = 'primitive' | 'component' | 'app';

/** How many calls there may be in a time, or at once. */
export interface PolicyLimit extends Pick<Conditions, 'primitives' | 'operations' | 'components'> {
  name: string;
  apps: string[];
  /** Calls an hour, of all workers of an Envoy together. */
  perHour?: number;
  /** Calls that may come at once after a pause. */
  burst?: number;
  /** Each of these is counted by itself. */
  per: LimitScope[];
  /** Calls of a component that may be at work at once, in the bridge. */
  concurrency?: number;
}

/**
 * The one form that Envoy's filter and the bridge both hold: rules in the order in which they are asked, those that
 * deny first. What a rule does not name is left out. `assembly/config/policy.ts` reads it.
 */
export interface CompiledPolicy {
  /** What no rule is about is denied. */
  denies: boolean;
  trustDomain: string;
  rules: CompiledRule[];
  /** Left out if there are none. The bridge's own limits are not here. */
  limits?: CompiledLimit[];
}

export interface CompiledLimit {
  /** Its name, and the calls that it counts. */
  about: CompiledRule;
  perHour: number;
  burst: number;
  per?: LimitScope[];
}

export interface CompiledRule extends Partial<Conditions> {
  name: string;
  deny?: true;
  apps?: string[];
  /** Secrets that the rule is not about: it is about all others. */
  otherSecrets?: string[];
  /** Topics that the rule is not about: it is about all others. */
  otherTopics?: string[];
  /** It stands with a component: names of secrets and topics are taken as they are, and Dapr's words deny. */
  ofStore?: true;
}

/** Who calls: the app beside the runtime, or whoever a certificate says. */
export interface Caller {
  /** App id; empty for a caller with a certificate, which is not the app beside this Envoy. */
  app: string;
  /** Empty if there is none. */
  spiffe: string;
}

/** What is asked for. What is undefined is not known yet, and may still be anything. */
export interface Subject {
  primitive: string;
  operation: string;
  /** Empty: none. */
  component: string | undefined;
  /** The secret or topic that is asked for, where the primitive has such. */
  name: string | undefined;
}
