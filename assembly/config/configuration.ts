// The plugin configuration: JSON that the filter gets with its module, read
// once per root context. Policy and component names are here, so they hold
// before any session exists.

import { KnownSubscriptions } from './known-subscriptions';
import { Component, Standing } from './component';
import { FieldReader } from './field-reader';
import { Invocation } from './invocation';
import { Policy, readPolicy } from './policy';
import { Labels } from './labels';
import { JsonKind } from '../wire/json';
import { literal, View, viewEquals, viewLen, viewToString } from '../wire/view';

export { Component, Standing };

const K_VERSION = literal('version');
const K_CONFIG_VERSION = literal('configVersion');
const K_APP = literal('app');
const K_ID = literal('id');
const K_PORT = literal('port');
const K_PROTOCOL = literal('protocol');
const K_CLUSTERS = literal('clusters');
const K_SESSION = literal('session');
const K_LARGE = literal('large');
const K_HOLD = literal('hold');
const K_PASS_ON = literal('passOn');
const K_LIMITS = literal('limits');
const K_MESSAGE_BYTES = literal('messageBytes');
const K_OPERATIONS = literal('operations');
const K_BYTES = literal('bytes');
const K_STREAMS = literal('streams');
const K_DEADLINE = literal('deadlineMs');
const K_HOSTS = literal('hosts');
const K_TOKENS = literal('tokens');
const K_COMPONENTS = literal('components');
const K_POLICY = literal('policy');
const K_INVOKE = literal('invoke');
const INVOKE = literal('invoke');
const K_NAME = literal('name');
const K_TYPE = literal('type');
const K_PRIMITIVE = literal('primitive');
const K_CACHE_BYTES = literal('cacheBytes');
const K_NEAR_CACHE_MS = literal('nearCacheMs');
const K_SEGMENTS = literal('segments');
const K_ANSWER_IN_ENVOY_MS = literal('answerInEnvoyMs');
const K_CAPABILITIES = literal('capabilities');

/** SHA-256 as hexadecimal digits. */
const DIGEST_LENGTH: i32 = 64;

export class Configuration implements Labels {
  version: View = literal('0.0.0');
  configVersion: View = 0;
  appId: View = 0;
  appPort: i32 = 0;
  appProtocol: View = literal('http');
  sessionCluster: View = literal('layotto_session');
  largeCluster: View = literal('layotto_session_large');
  /** No `allow_on_headers_stop_iteration`: hold requests by a Lua filter instead. */
  hold: bool = false;
  /** Another module of the runtime stands behind this one: what this one does not serve is its. */
  passOn: bool = false;
  /** Longest encoded message or HTTP body in either direction, in bytes. */
  messageBytes: i32 = 4 * 1024 * 1024;
  /** Operations under way per root context. */
  operations: i32 = 1024;
  /** Streams passed on at the same time per root context. */
  streams: i32 = 100;
  /** Bytes held per root context. */
  bytes: i64 = 64 * 1024 * 1024;
  /** Bytes of answers kept per root context. */
  cacheBytes: i64 = 8 * 1024 * 1024;
  /** How long a call may take when its caller does not say, in milliseconds. */
  deadlineMs: i32 = 15000;
  /** Names a request may give as its host, beside localhost and IP addresses. */
  hosts: Array<View> = [];
  /** SHA-256 digests (hexadecimal, lower case) of the API tokens; empty: no token is asked for. */
  tokens: Array<View> = [];
  components: Array<Component> = [];
  readonly subscriptions: KnownSubscriptions = new KnownSubscriptions();
  /** Null: everything is allowed. */
  policy: Policy | null = null;
  readonly invocation: Invocation = new Invocation();

  private readonly fields: FieldReader = new FieldReader();

  /** The component of this name and primitive, or null. */
  find(primitive: View, name: View): Component | null {
    if (viewEquals(primitive, INVOKE)) return this.invocation.find(name);
    for (let i = 0; i < this.components.length; i++) {
      const component = this.components[i];
      if (viewEquals(component.primitive, primitive) && viewEquals(component.name, name)) return component;
    }
    return null;
  }

  mostLabels(): i32 {
    return this.components.length + this.invocation.most;
  }

  /** Of a component or, behind them, of a callee. */
  labelAt(index: i32): View {
    const components = this.components;
    if (index < components.length) return components[index].name;
    return this.invocation.labelAt(index - components.length);
  }

  /** Whether any component wants answers kept. */
  get keepsAnswers(): bool {
    for (let i = 0; i < this.components.length; i++) if (this.components[i].nearCacheMs > 0) return true;
    return false;
  }

  /** Whether any component wants reads answered in Envoy. */
  get answersInEnvoy(): bool {
    for (let i = 0; i < this.components.length; i++) if (this.components[i].answerInEnvoyMs > 0) return true;
    return false;
  }

  /** Whether any component serves a primitive. */
  serves(primitive: View): bool {
    for (let i = 0; i < this.components.length; i++) {
      if (viewEquals(this.components[i].primitive, primitive)) return true;
    }
    return false;
  }

  /**
   * Reads the configuration. Fields it does not know are left alone.
   *
   * @returns an empty string, or what is wrong
   */
  parse(text: View): string {
    const reader = this.fields.json;
    reader.reset(text);
    if (reader.peek() != JsonKind.OBJECT || !reader.enterObject()) return 'it is not a JSON object';
    while (reader.nextKey()) {
      const key = reader.key;
      if (viewEquals(key, K_VERSION)) this.version = this.fields.text('version');
      else if (viewEquals(key, K_CONFIG_VERSION)) this.configVersion = this.fields.text('configVersion');
      else if (viewEquals(key, K_APP)) this.readApp();
      else if (viewEquals(key, K_CLUSTERS)) this.readClusters();
      else if (viewEquals(key, K_HOLD)) this.hold = this.fields.flag('hold');
      else if (viewEquals(key, K_PASS_ON)) this.passOn = this.fields.flag('passOn');
      else if (viewEquals(key, K_LIMITS)) this.readLimits();
      else if (viewEquals(key, K_HOSTS)) this.hosts = this.fields.texts('hosts');
      else if (viewEquals(key, K_TOKENS)) this.readTokens();
      else if (viewEquals(key, K_COMPONENTS)) this.readComponents();
      else if (viewEquals(key, K_INVOKE)) this.invocation.read(this.fields);
      else if (viewEquals(key, K_POLICY)) this.policy = readPolicy(this.fields);
      else reader.skip();
    }
    this.invocation.number(this.components.length);
    const problem = reader.ok ? this.fields.problem : reader.errorText();
    reader.reset(0);
    return problem;
  }

  /** Without a cluster no session could ever open, so an empty name is refused here. */
  private clusterName(key: string): View {
    const name = this.fields.text(key);
    if (name == 0 && this.fields.problem.length == 0)
      this.fields.problem = '"' + key + '" must name a cluster';
    return name;
  }

  private readApp(): void {
    if (!this.fields.object('app')) return;
    const reader = this.fields.json;
    while (reader.nextKey()) {
      if (viewEquals(reader.key, K_ID)) this.appId = this.fields.text('app.id');
      else if (viewEquals(reader.key, K_PORT)) this.appPort = <i32>this.fields.whole('app.port', 0, 65535);
      else if (viewEquals(reader.key, K_PROTOCOL)) this.appProtocol = this.fields.text('app.protocol');
      else reader.skip();
    }
  }

  private readClusters(): void {
    if (!this.fields.object('clusters')) return;
    const reader = this.fields.json;
    while (reader.nextKey()) {
      if (viewEquals(reader.key, K_SESSION)) this.sessionCluster = this.clusterName('clusters.session');
      else if (viewEquals(reader.key, K_LARGE)) this.largeCluster = this.clusterName('clusters.large');
      else reader.skip();
    }
  }

  private readLimits(): void {
    if (!this.fields.object('limits')) return;
    const reader = this.fields.json;
    while (reader.nextKey()) {
      if (viewEquals(reader.key, K_MESSAGE_BYTES)) {
        this.messageBytes = <i32>this.fields.whole('limits.messageBytes', 1, 1 << 30);
      } else if (viewEquals(reader.key, K_OPERATIONS)) {
        this.operations = <i32>this.fields.whole('limits.operations', 1, 1 << 20);
      } else if (viewEquals(reader.key, K_STREAMS)) {
        this.streams = <i32>this.fields.whole('limits.streams', 1, 1 << 20);
      } else if (viewEquals(reader.key, K_BYTES)) {
        this.bytes = this.fields.whole('limits.bytes', 1, 1 << 31);
      } else if (viewEquals(reader.key, K_CACHE_BYTES)) {
        this.cacheBytes = this.fields.whole('limits.cacheBytes', 0, 1 << 31);
      } else if (viewEquals(reader.key, K_DEADLINE)) {
        this.deadlineMs = <i32>this.fields.whole('limits.deadlineMs', 1, 1 << 30);
      } else reader.skip();
    }
  }

  private readTokens(): void {
    this.tokens = this.fields.texts('tokens');
    for (let i = 0; i < this.tokens.length; i++) {
      if (viewLen(this.tokens[i]) != DIGEST_LENGTH && this.fields.problem.length == 0) {
        this.fields.problem = '"tokens" must hold SHA-256 digests of 64 hexadecimal digits';
      }
    }
  }

  private readComponents(): void {
    const reader = this.fields.json;
    if (reader.peek() != JsonKind.ARRAY) {
      this.fields.wrong('components', 'an array of objects');
      return;
    }
    reader.enterArray();
    while (reader.nextItem()) {
      if (!this.fields.object('components[]')) continue;
      const component = new Component();
      while (reader.nextKey()) {
        const key = reader.key;
        if (viewEquals(key, K_NAME)) component.name = this.fields.text('components[].name');
        else if (viewEquals(key, K_TYPE)) component.type = this.fields.text('components[].type');
        else if (viewEquals(key, K_VERSION)) component.version = this.fields.text('components[].version');
        else if (viewEquals(key, K_PRIMITIVE))
          component.primitive = this.fields.text('components[].primitive');
        else if (viewEquals(key, K_CAPABILITIES))
          component.capabilities = this.fields.texts('components[].capabilities');
        else if (viewEquals(key, K_NEAR_CACHE_MS))
          component.nearCacheMs = <i32>this.fields.whole('components[].nearCacheMs', 0, 1 << 30);
        else if (viewEquals(key, K_SEGMENTS)) component.givesRuns = this.fields.flag('components[].segments');
        else if (viewEquals(key, K_ANSWER_IN_ENVOY_MS))
          component.answerInEnvoyMs = <i32>this.fields.whole('components[].answerInEnvoyMs', 0, 1 << 30);
        else reader.skip();
      }
      if ((component.name == 0 || component.primitive == 0) && this.fields.problem.length == 0) {
        this.fields.problem =
          'a component needs "name" and "primitive" (got "' + viewToString(component.name) + '")';
      }
      component.index = this.components.length;
      this.components.push(component);
    }
  }
}
