/**
 * The resolved configuration: what the three config forms (layotto.yaml, Layotto's JSON, Dapr's component
 * files) all become, checked once. Every other part of the project reads these types and no config file.
 */
import type { ZodType } from 'zod';

import type { PolicyConfig } from '../policy/types.js';

/** The form a component was written in. It decides defaults such as the Redis key prefix. */
export type ConfigForm = 'native' | 'layotto' | 'dapr';

/** A configuration with every default filled in, every path absolute and every component checked. */
export interface RuntimeConfig {
  /** What it was read from, for messages: file names, or `embedded default` if nothing was read. */
  source: string;
  /**
   * The app beside the runtime. `id` defaults to `app`; `port` 0 means that it serves none; `namespace` wins over the
   * environment's NAMESPACE; `group` may connect to the app's sockets where one bridge serves several apps.
   */
  app: { id: string; port: number; protocol: 'http' | 'grpc'; namespace?: string; group?: number };
  /** Absolute path of the file that holds what the app knows the runtime by; it wins over APP_API_TOKEN. */
  appTokenFile?: string;
  /**
   * Where the runtime listens. `hosts` are the names allowed in Host beside localhost and IP addresses; `actuator` is
   * an address that has the actuator's routes only; `proxy` is one on loopback through which the app calls others;
   * at `inbound` others reach the app.
   */
  listen: {
    host: string;
    port: number;
    unixSocket?: string;
    actuator?: ListenAddress;
    proxy?: ListenAddress;
    inbound?: ListenAddress;
    hosts: string[];
  };
  /** Absolute folder of data, sockets and generated files. */
  dataDir: string;
  /** Bounds of one call (`messageBytes`, `deadlineMs`) and of one filter (the others). */
  limits: {
    messageBytes: number;
    operations: number;
    /** Streams of one filter that are open at the same time. */
    streams: number;
    bytes: number;
    /** Answers kept in Envoy, for components that ask for it. */
    cacheBytes: number;
    deadlineMs: number;
  };
  /** Envoy's worker threads, and the port of its Prometheus metrics (0: none). */
  envoy: { concurrency: number; metricsPort: number };
  /**
   * Places for modules beside the runtime's own: `slots` of them on the runtime's listener. A module that was pushed
   * and traps `traps` times within `withinMs` is rolled back; undefined: none is unless its push says so.
   */
  modules: { slots: number; rollbackOnTrap?: TrapLimit };
  /** Where functions are called, and how many there may be; absent: there are none. */
  functions?: FunctionsConfig;
  /** Listeners for the app's own calls, each with a place for one module that sees them. */
  outbound: OutboundConfig[];
  /** Whether the app may give components new settings by ApplyConfiguration. */
  lifecycle: { apply: boolean };
  /** Where spans go: a collector's base address (OTLP over HTTP), and which part of new traces is recorded. */
  tracing?: { otlp: string; sampling: number };
  /** Whom the app calls by a name of their own: by service invocation, and through {@link RuntimeConfig.listen}.proxy. */
  callees?: Record<string, CalleeConfig>;
  /** Service invocation beyond the callees; absent: the defaults. */
  invoke?: InvokeConfig;
  /** What the app may do; absent: everything. */
  policy?: PolicyConfig;
  /** What resources for a mesh are called, and which pods they are for. The runtime itself does not heed it. */
  mesh?: MeshNames;
  components: ComponentConfig[];
  /** What the app is subscribed to without asking for it; absent: nothing. */
  subscriptions?: SubscriptionConfig[];
  /** What functions are called at certain times; absent: none. */
  schedules?: ScheduleConfig[];
}

/** Events of one topic that the app gets. */
export interface SubscriptionConfig {
  /** What messages call it. */
  name: string;
  /** Of the function that gets them; absent: the app does. */
  function?: string;
  /** The component, and a topic of it. */
  pubsubName: string;
  topic: string;
  form: ConfigForm;
  /** Where events go, in the order in which rules are tried; the last may have an empty expression: any event. */
  rules: { match: string; path: string }[];
  metadata: Record<string, string>;
  /** Where events go that the app drops, or fails at so often. */
  deadLetterTopic?: string;
  maxDeliveries?: number;
  /** Events in hand at the same time. */
  concurrency?: number;
  /** Many events in one call: so many at most, and how long the first waits for others, in milliseconds. */
  bulk?: { maxMessages: number; maxAwaitMs: number };
  origin: ComponentConfig['origin'];
}

/** When a function is called without anybody calling it. */
export interface ScheduleConfig {
  /** Its own. */
  name: string;
  /** The function's id. */
  function: string;
  /** See `readTiming`. */
  schedule: string;
  /** Name of a time zone (IANA); absent: that of the process. */
  timezone?: string;
  /** Path and body of the call. */
  route: string;
  data: string;
  contentType: string;
  /** Runs at the same time, at most. */
  concurrency: number;
  /** Name of the lock component by which one replica of the app makes each run; absent: all do. */
  once?: string;
}

/** How many traps are too many. */
export interface TrapLimit {
  traps: number;
  withinMs: number;
}

/** Functions: small modules behind a listener of their own. */
export interface FunctionsConfig {
  listen: ListenAddress;
  slots: number;
}

/** A listener for the app's calls to one other service. */
export interface OutboundConfig {
  /** Also the name of its module's place. */
  name: string;
  /** Where the app calls it. */
  listen: ListenAddress;
  /** Where the calls go: an IP address or a host name, and a port. */
  to: { host: string; port: number };
}

/** Names in a mesh; what is absent has a default. */
export interface MeshNames {
  name?: string;
  namespace?: string;
  /** Labels of the pods. */
  selector?: Record<string, string>;
}

/** An IP address and a port to listen on. */
export interface ListenAddress {
  host: string;
  port: number;
}

/** Somebody whom the app calls. */
export interface CalleeConfig {
  /** Where its instances are. Empty if routes share out every call by weight. */
  to: CalleeAddress[];
  /**
   * `http` (default): HTTP/1.1, and HTTP/2 for gRPC calls. `http2`: HTTP/2 for all. `grpc`: HTTP/2 for all, and
   * `InvokeService` reaches it as the method OnInvoke of Dapr's AppCallback.
   */
  protocol?: 'http' | 'http2' | 'grpc';
  /** How long an invocation may take; absent: as long as its caller likes. */
  timeoutMs?: number;
  /** How often an invocation by an idempotent method is repeated elsewhere; absent: 2. */
  retries?: number;
  /** Where some calls go instead: the first whose headers fit, else shared out by weight. */
  routes?: CalleeRoute[];
  /** Who gets a copy. */
  mirror?: CalleeMirror;
  /** It is no app but a place of the web: service invocation goes there so. */
  endpoint?: EndpointConfig;
}

/** A place of the web, which Dapr's HTTPEndpoint names. */
export interface EndpointConfig {
  /** What stands in `Host`. */
  authority: string;
  /** In front of each call's path; no slash at its end. */
  path: string;
  /** Set on each call, by lower-case names. */
  headers: Record<string, string>;
  /** By TLS: the name in the server's certificate, and who has signed it in PEM; absent: an authority of the system's. */
  tls?: { name: string; rootCA?: string };
}

/** A way to a callee, for calls with these headers or for a share of them. */
export interface CalleeRoute {
  /** Lower-case names, and what they must say. */
  headers?: Record<string, string>;
  weight?: number;
  to: CalleeAddress[];
}

/** Who gets a copy of so many of a hundred calls; its answers are dropped. */
export interface CalleeMirror {
  to: CalleeAddress[];
  percent: number;
}

/** Service invocation. */
export interface InvokeConfig {
  /** Where apps are that are no callees. */
  pattern?: InvokePattern;
  /** What stands for `{port}` in it; absent: 80. */
  port?: number;
  /** The protocol that Layotto's configuration names for `InvokeService`; absent: http, which alone is served. */
  channel?: 'dubbo' | 'bolt';
}

/** With `{app}`, and perhaps `{namespace}` and `{port}`, to be filled in. */
export interface InvokePattern {
  /** The name of one of Envoy's clusters, or a host name with a port. */
  kind: 'cluster' | 'dns';
  text: string;
}

/** One address of a callee; `host` is an IP address or a name that DNS knows. */
export interface CalleeAddress {
  host: string;
  port: number;
}

/** One component of the resolved configuration. */
export interface ComponentConfig {
  /** The name that calls use. Unique among the components of its primitive. */
  name: string;
  /** The catalog's canonical type, such as `state.redis`. Aliases are already replaced. */
  type: string;
  /** `v1` unless the file says otherwise. */
  version: string;
  /** The primitive it serves, such as `state`. */
  primitive: string;
  form: ConfigForm;
  /**
   * Values as they were written. Keys have the spelling of the type's schema where they differ from it only in
   * case, so the schema can parse this again; look-ups are case-insensitive (see {@link metadataValue}).
   */
  metadata: Record<string, string>;
  /** Metadata whose values are in secret stores: the bridge takes them from there when it opens the component. */
  secretRefs?: SecretRef[];
  /** Which of its secrets the app may have, if it is a secret store; absent: all. */
  access?: SecretAccess;
  /** Which topics apps may use, if it is a message broker; absent: all. */
  topicScopes?: TopicScopes;
  /** Its bridge half, if its primitive is none of the runtime's own. */
  own?: OwnPrimitive;
  /** Where it was written. `line` counts from 1; 0 where there is no file. */
  origin: { file: string; line: number };
}

/** The bridge half of a primitive that this version does not know. */
export interface OwnPrimitive {
  /** Absolute folder that describes it, and has the module that serves it. */
  folder: string;
  /** Absolute path of the socket where a process serves it; absent: the folder's module does. */
  socket?: string;
  /** Full name of its service, such as `rate_counter.v1.RateCounter`. */
  service: string;
  /** Its methods, each with the field of the request that names the component. */
  operations: { name: string; component: string }[];
  /** Of what was read, so that what has changed since is loaded anew. */
  digest: string;
}

/** A metadata value that is kept in a secret store. */
export interface SecretRef {
  /** The metadata key that gets the value, in the spelling of the type's schema. */
  injectAs: string;
  /** Name of the secret store component. */
  store: string;
  /** The secret's name, and the entry of it: a secret may hold several. */
  name: string;
  key: string;
}

/** Which secrets of a store the app may have: only those allowed, if any are named; else all but those denied. */
export interface SecretAccess {
  /** For secrets that neither list names. */
  default: 'allow' | 'deny';
  allowed: string[];
  denied: string[];
}

/** Which topics of a broker apps may use, as Dapr's metadata says it. An app that a map does not name is not bound by it. */
export interface TopicScopes {
  /** The only topics there are; empty: any. */
  allowed: string[];
  /** Topics that only apps may use whose scopes name them. */
  protected: string[];
  /** Topics that an app may publish to, by app id. */
  publishing: Record<string, string[]>;
  /** The same for subscribing. */
  subscription: Record<string, string[]>;
}

/**
 * What the loader must know about a component type. The catalog stands with the components and is handed to
 * `loadConfig`, because the config imports no component.
 */
export interface CatalogEntry {
  /** Canonical type: primitive, dot, backend (`state.redis`). */
  type: string;
  /**
   * Other spellings. One with a dot is a full type in native and Dapr files (`state.in-memory`); one without
   * is a type inside the primitive's section of Layotto's JSON (`redis`).
   */
  aliases?: readonly string[];
  /** `state`, `lock`, `configuration` and so on. */
  primitive: string;
  /** Dapr's names, such as `ETAG`, `TRANSACTIONAL`, `TTL`. */
  capabilities: readonly string[];
  /**
   * Checks the metadata: an object from metadata keys to strings. The loader renames each written key to the
   * schema's own spelling where they differ only in case, so a schema states each key once. It should be a strict
   * object: a key it does not know is a problem in the native form, and a notice in the foreign ones, where the
   * key is left out. Only the schema's issues are used; the strings are handed on as written. An issue's message
   * should say what was expected (`expected a number from 0 to 15`); what was found is added.
   */
  metadata: ZodType;
  /** Any metadata is handed on: what is wrong with it shows when the component is opened. */
  anyMetadata?: boolean;
  /** The catalog's own business (for example how to import the component); the loader never looks at it. */
  load?: unknown;
}

/** Something wrong with a configuration, said so that the reader can fix it. */
export interface Problem {
  /** The file, as it was given; empty if no file is involved. */
  file: string;
  /** Line in the file, from 1; 0 if no line is involved. */
  line: number;
  /** The key, as a path: `components[0].metadata.redisHost`. Empty for the file as a whole. */
  key: string;
  /** What was expected, what was found, and the fix. */
  message: string;
}

/** Something left out on purpose: understood, but not served by this version, or not meant for this app. */
export type Notice = Problem;

/**
 * Reads a metadata value by name, whatever its case: Dapr and Layotto both treat metadata keys so.
 * Returns undefined if it is absent.
 */
export function metadataValue(metadata: Readonly<Record<string, string>>, name: string): string | undefined {
  if (Object.hasOwn(metadata, name)) return metadata[name];
  const wanted = name.toLowerCase();
  for (const [key, value] of Object.entries(metadata)) {
    if (key.toLowerCase() === wanted) return value;
  }
  return undefined;
}
