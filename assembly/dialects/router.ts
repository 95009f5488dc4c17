// Which handler serves which call. Primitives enter their methods here.

import { literal, View, view, viewEquals, viewLen, viewPtr } from '../wire/view';
import { Handler, HandlerFactory } from './handler';

const PARAMETER = literal('{}');
const SLASH: u8 = 0x2f;

class GrpcRoute {
  constructor(
    public readonly path: View,
    public readonly factory: HandlerFactory,
  ) {}
}

class HttpRoute {
  constructor(
    public readonly method: View,
    public readonly segments: Array<View>,
    public readonly factory: HandlerFactory,
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

export class Router {
  private grpcRoutes: Array<GrpcRoute> = [];
  private httpRoutes: Array<HttpRoute> = [];

  /** @param path "/package.Service/Method" */
  grpc(path: string, factory: HandlerFactory): void {
    this.grpcRoutes.push(new GrpcRoute(literal(path), factory));
  }

  /** @param pattern path in which "{}" stands for one segment, for example "/v1.0/state/{}" */
  http(method: string, pattern: string, factory: HandlerFactory): void {
    this.httpRoutes.push(new HttpRoute(literal(method), splitPath(literal(pattern)), factory));
  }

  findGrpc(path: View): Handler | null {
    for (let i = 0; i < this.grpcRoutes.length; i++) {
      if (viewEquals(this.grpcRoutes[i].path, path)) return this.grpcRoutes[i].factory();
    }
    return null;
  }

  /** @param parameters gets the segments that stand for "{}", still escaped */
  findHttp(method: View, segments: Array<View>, parameters: Array<View>): Handler | null {
    for (let i = 0; i < this.httpRoutes.length; i++) {
      const route = this.httpRoutes[i];
      if (!matches(route.segments, segments) || !viewEquals(route.method, method)) continue;
      for (let s = 0; s < segments.length; s++) {
        if (viewEquals(route.segments[s], PARAMETER)) parameters.push(segments[s]);
      }
      return route.factory();
    }
    return null;
  }
}

function matches(pattern: Array<View>, segments: Array<View>): bool {
  if (pattern.length != segments.length) return false;
  for (let i = 0; i < pattern.length; i++) {
    // A parameter is never empty.
    if (
      viewEquals(pattern[i], PARAMETER) ? viewLen(segments[i]) == 0 : !viewEquals(pattern[i], segments[i])
    ) {
      return false;
    }
  }
  return true;
}
