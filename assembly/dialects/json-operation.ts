// What the filter knows of an operation that can be called as JSON.

import { literal, View } from '../wire/view';

export class JsonOperation {
  readonly primitiveName: View;
  /** How the bridge is asked: the method's name with "+json". */
  readonly method: View;
  /** The field whose message names the component, in both spellings of proto3's JSON; no bytes: the request itself. */
  readonly parent: View;
  readonly parentCamel: View;
  /** The field that names the component; no bytes if the filter has none to look for. */
  readonly component: View;
  readonly componentCamel: View;

  constructor(
    public readonly primitive: string,
    public readonly name: string,
    public readonly path: string,
    method: string,
    parent: string,
    component: string,
    /** It may be performed twice without harm. */
    public readonly idempotent: bool,
  ) {
    this.primitiveName = literal(primitive);
    this.method = literal(method);
    this.parent = literal(parent);
    this.parentCamel = literal(camel(parent));
    this.component = literal(component);
    this.componentCamel = literal(camel(component));
  }
}

/** A field's JSON name: without underscores, and upper case after each. */
function camel(name: string): string {
  const parts = name.split('_');
  let joined = parts[0];
  for (let i = 1; i < parts.length; i++) joined += parts[i].charAt(0).toUpperCase() + parts[i].slice(1);
  return joined;
}
