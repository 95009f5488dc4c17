import type { PolicyConfig } from '../policy/types.js';
import type { DraftSchedule } from './schedules.js';
import type { DraftSubscription } from './subscriptions.js';
import type { ConfigForm, MeshNames, OwnPrimitive, RuntimeConfig, SecretAccess, SecretRef } from './types.js';

/** One metadata value before the catalog has seen it. */
export interface DraftValue {
  key: string;
  /** Undefined if it was wrong, which has been reported. */
  value: string | undefined;
  line: number;
  /** The path to it, for messages. */
  path: string;
  /** It came from the environment: messages must not show it. */
  hidden: boolean;
}

/** A metadata value in a secret store, before the catalog has seen its key. */
export interface DraftSecretRef extends SecretRef {
  file: string;
  line: number;
  path: string;
}

/** A primitive of one's own, as its folder says. */
export interface DraftPrimitive {
  primitive: string;
  own: OwnPrimitive;
}

/** A component as a form wrote it. */
export interface DraftComponent {
  name: string;
  type: string;
  version: string;
  form: ConfigForm;
  /** Undefined if it was not a map or list at all, which has been reported. */
  metadata: DraftValue[] | undefined;
  secretRefs?: DraftSecretRef[];
  access?: SecretAccess;
  /** What its type leads to, if that is a path. */
  own?: DraftPrimitive;
  /** The apps that it is meant for; absent: any. */
  apps?: string[];
  file: string;
  line: number;
  /** The path of the component and of its type, for messages. */
  path: string;
  typePath: string;
  typeLine: number;
}

/** What a configuration file says. What it leaves out takes a default later. */
export interface Draft {
  app: Partial<RuntimeConfig['app']>;
  appTokenFile?: string;
  listen: Partial<RuntimeConfig['listen']>;
  dataDir?: string;
  /** The apps that the file is for, if it is for several. */
  apps?: string[];
  limits: Partial<RuntimeConfig['limits']>;
  envoy: Partial<RuntimeConfig['envoy']>;
  modules: Partial<RuntimeConfig['modules']>;
  functions?: NonNullable<RuntimeConfig['functions']>;
  outbound?: RuntimeConfig['outbound'] | undefined;
  lifecycle: Partial<RuntimeConfig['lifecycle']>;
  tracing: Partial<NonNullable<RuntimeConfig['tracing']>>;
  callees?: NonNullable<RuntimeConfig['callees']>;
  invoke?: NonNullable<RuntimeConfig['invoke']>;
  policy?: PolicyConfig;
  mesh?: MeshNames;
  /** Undefined if the file does not mention components at all. */
  components?: DraftComponent[];
  subscriptions: DraftSubscription[];
  schedules: DraftSchedule[];
  /** Where a setting was written, for problems found only once everything is known. */
  lineOf(path: readonly PropertyKey[]): number;
}

/** A draft that says nothing. */
export function emptyDraft(): Draft {
  return {
    app: {},
    listen: {},
    limits: {},
    envoy: {},
    modules: {},
    lifecycle: {},
    tracing: {},
    subscriptions: [],
    schedules: [],
    lineOf: () => 0,
  };
}
