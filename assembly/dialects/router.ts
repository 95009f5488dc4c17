// Which handler serves which call. Primitives enter their methods here.

import { literal, View, view, viewEquals, viewLen, viewOf, viewPtr } from '../wire/view';
import { RoomState } from './background';
import { HandlerFactory } from './handler';
import { AnswerReader } from './json-operation';

const PARAMETER = literal('{}');
/** At the end of a pattern: all segments that are left, with the slashes between them. */
const REST = literal('{*}');
const SLASH: u8 = 0x2f;

/** What a call that no primitive serves is counted as. */
export const UNKNOWN: string = 'unknown';

/** Of a method whose calls are streams: they pass to the bridge as they are. */
export class Passing {
  readonly primitive: View;
  readonly unserved: View;

  constructor(
    primitive: string,
    /** google.rpc.Code where no component of the primitive is configured, and the words of that. */
    readonly unservedCode: i32,
    unserved: string,
  ) {
    this.primitive = literal(primitive);
    this.unserved = literal(unserved);
  }
}

/** One method behind one door: what it is called in metrics, and who serves it. */
export class Route {
  private readonly primitiveBytes: ArrayBuffer;
  private readonly operationBytes: ArrayBuffer;

  constructor(
    /** Counts from 0 within a router. */
    public readonly index: i32,
    /** `layotto_grpc`, `dapr_grpc`, `dapr_http` or `json`. */
    public readonly door: string,
    public readonly primitive: string,
    /** The method's name, the same behind every door, for example `GetState`. */
    public readonly operation: string,
    /** Null for what is not served, for streams, and behind the JSON door, where all is served alike. */
    public readonly factory: HandlerFactory | null,
    /** Null for what is no stream. */
    public readonly passing: Passing | null,
    /** What the primitive keeps, if it keeps anything. */
    public readonly state: RoomState | null,
  ) {
    this.primitiveBytes = String.UTF8.encode(primitive);
    this.operationBytes = String.UTF8.encode(operation);
  }

  get primitiveName(): View {
    return viewOf(this.primitiveBytes);
  }

  get operationName(): View {
    return viewOf(this.operationBytes);
  }
}

class GrpcEntry {
  constructor(
    public readonly path: View,
    public readonly route: Route,
  ) {}
}

class HttpEntry {
  constructor(
    public readonly method: View,
    public readonly segments: Array<View>,
    public readonly route: Route,
  ) {}
}

/** Splits a path at its slashes; the empty segment before the first one is left out. */
export function splitPath(path: View): Array<View> {
  const segments: Array<View> = [];
  const start = viewPtr(path);
  const length = viewLen(path);
  let from = 0;
  if (length > 0 && load<u8>(start) == SLASH) from = 1;
  for (let i = from; i <= length; i++) {
    if (i == length || load<u8>(start + i) == SLASH) {
      segments.push(view(start + from, i - from));
      from = i + 1;
    }
  }
  return segments;
}

const DAPR_SERVICES = '/dapr.';

export class Router {
  private grpcEntries: Array<GrpcEntry> = [];
  private httpEntries: Array<HttpEntry> = [];
  /** For calls that no entry serves. */
  readonly unknownGrpc: Route = new Route(0, 'grpc', UNKNOWN, UNKNOWN, null, null, null);
  readonly unknownHttp: Route = new Route(1, 'dapr_http', UNKNOWN, UNKNOWN, null, null, null);
  readonly unknownJson: Route = new Route(2, 'json', UNKNOWN, UNKNOWN, null, null, null);
  /** For calls that pass to an app, by HTTP or, whatever their service, by gRPC; null where invocation is not served. */
  invoked: Route | null = null;
  proxied: Route | null = null;
  /** Every route but those three. */
  readonly routes: Array<Route> = [];
  private size: i32 = 3;
  private readonly read: Array<string> = [];
  private readonly readers: Array<AnswerReader> = [];

  /** @param path "/package.Service/Method" @param state what the primitive keeps in this root context */
  grpc(
    primitive: string,
    operation: string,
    path: string,
    factory: HandlerFactory,
    state: RoomState | null = null,
  ): void {
    this.addGrpc(path, this.add(doorOf(path), primitive, operation, factory, null, state));
  }

  /**
   * A method whose calls are streams, which pass to the bridge as they are. Envoy must have a route for it.
   *
   * @param path "/package.Service/Method"
   * @param unservedCode how a call is refused while no component of the primitive is configured
   */
  stream(primitive: string, operation: string, path: string, unservedCode: i32, unserved: string): void {
    const passing = new Passing(primitive, unservedCode, unserved);
    this.addGrpc(path, this.add(doorOf(path), primitive, operation, null, passing, null));
  }

  private addGrpc(path: string, route: Route): void {
    this.grpcEntries.push(new GrpcEntry(literal(path), route));
  }

  /**
   * @param pattern path in which "{}" stands for one segment, for example "/v1.0/state/{}", and "{*}" at its end for
   *   one or more. The first that fits counts
   */
  http(primitive: string, operation: string, method: string, pattern: string, factory: HandlerFactory): void {
    const route = this.add('dapr_http', primitive, operation, factory, null, null);
    this.httpEntries.push(new HttpEntry(literal(method), splitPath(literal(pattern)), route));
  }

  /** A route behind the JSON door, which finds its way by itself. */
  json(primitive: string, operation: string): Route {
    return this.add('json', primitive, operation, null, null, null);
  }

  /** Answers of a primitive behind the JSON door are read before they go. */
  readJsonAnswers(primitive: string, reader: AnswerReader): void {
    this.read.push(primitive);
    this.readers.push(reader);
  }

  /** Who reads these; null: nobody. */
  jsonAnswerReader(primitive: string): AnswerReader | null {
    const at = this.read.indexOf(primitive);
    return at < 0 ? null : this.readers[at];
  }

  /** From now on calls pass to the apps that they name. */
  passInvocations(primitive: string): void {
    this.invoked = this.add('dapr_http', primitive, 'InvokeService', null, null, null);
    this.proxied = this.add('dapr_grpc', primitive, 'Proxy', null, null, null);
  }

  private add(
    door: string,
    primitive: string,
    operation: string,
    factory: HandlerFactory | null,
    passing: Passing | null,
    state: RoomState | null,
  ): Route {
    const route = new Route(this.size++, door, primitive, operation, factory, passing, state);
    this.routes.push(route);
    return route;
  }

  /** Whether something of a primitive is entered. */
  serves(primitive: string): bool {
    for (let i = 0; i < this.grpcEntries.length; i++) {
      if (this.grpcEntries[i].route.primitive == primitive) return true;
    }
    return false;
  }

  findGrpc(path: View): Route {
    for (let i = 0; i < this.grpcEntries.length; i++) {
      if (viewEquals(this.grpcEntries[i].path, path)) return this.grpcEntries[i].route;
    }
    return this.unknownGrpc;
  }

  /** @param parameters gets what stands for "{}" and "{*}", still escaped */
  findHttp(method: View, segments: Array<View>, parameters: Array<View>): Route {
    for (let i = 0; i < this.httpEntries.length; i++) {
      const entry = this.httpEntries[i];
      if (!matches(entry.segments, segments) || !viewEquals(entry.method, method)) continue;
      for (let s = 0; s < entry.segments.length; s++) {
        if (viewEquals(entry.segments[s], PARAMETER)) parameters.push(segments[s]);
        else if (viewEquals(entry.segments[s], REST)) parameters.push(restOf(segments, s));
      }
      return entry.route;
    }
    return this.unknownHttp;
  }
}

function doorOf(path: string): string {
  return path.startsWith(DAPR_SERVICES) ? 'dapr_grpc' : 'layotto_grpc';
}

/** The segments from one on, which stand one behind the other in the path. */
function restOf(segments: Array<View>, from: i32): View {
  const last = segments[segments.length - 1];
  const start = viewPtr(segments[from]);
  return view(start, <i32>(viewPtr(last) - start) + viewLen(last));
}

function matches(pattern: Array<View>, segments: Array<View>): bool {
  const last = pattern.length - 1;
  const open = last >= 0 && viewEquals(pattern[last], REST);
  if (open ? segments.length < pattern.length : segments.length != pattern.length) return false;
  for (let i = 0; i < pattern.length; i++) {
    if (open && i == last) return viewLen(restOf(segments, i)) > 0;
    // A parameter is never empty.
    if (
      viewEquals(pattern[i], PARAMETER) ? viewLen(segments[i]) == 0 : !viewEquals(pattern[i], segments[i])
    ) {
      return false;
    }
  }
  return true;
}
