// Whether the bridge at the other end has what the module calls: a module
// and a bridge need not be of the same release.

import { Hello } from '../wire/gen/layotto/bridge/v1/session';
import { View, viewOf, viewStartsWith, viewToString } from '../wire/view';

/** Version of the session's protocol, as proto/layotto/bridge/v1/session.proto describes it. */
export const PROTOCOL: u32 = 1;

const PACKAGE = 'layotto.bridge.v1.';

/** A service that the bridge does not have. */
class Lack {
  private readonly methods: ArrayBuffer;
  /** The same service's methods behind the JSON door's. */
  private readonly json: ArrayBuffer;
  private readonly message: ArrayBuffer;

  constructor(service: string, message: string) {
    this.methods = String.UTF8.encode(service + '/');
    this.json = String.UTF8.encode(PACKAGE + 'Json/' + service.replace(PACKAGE, '') + '.');
    this.message = String.UTF8.encode(message);
  }

  has(method: View): bool {
    return viewStartsWith(method, viewOf(this.methods)) || viewStartsWith(method, viewOf(this.json));
  }

  get text(): View {
    return viewOf(this.message);
  }
}

/** What a bridge lacks of what a module needs. */
export class Fitness {
  /** Why nothing can be asked; null if something can. */
  private stranger: ArrayBuffer | null = null;
  private lacking: Array<Lack> = [];

  /**
   * @param version the module's
   * @param needs full names of the services that it calls
   */
  constructor(
    private readonly version: string,
    private readonly needs: Array<string>,
  ) {}

  /** Takes what a bridge says of itself. One that names no services is taken to have all. @returns whether it speaks our protocol */
  judge(hello: Hello): bool {
    const bridge = 'the bridge (' + viewToString(hello.version) + ')';
    this.lacking = [];
    if (hello.protocol != PROTOCOL) {
      const ours = 'this module (' + this.version + ') speaks protocol ' + PROTOCOL.toString();
      const theirs = bridge + ' protocol ' + hello.protocol.toString();
      this.stranger = String.UTF8.encode(ours + ', ' + theirs + '; take both of the same release');
      return false;
    }
    this.stranger = null;
    const offered = new Set<string>();
    for (let i = 0; i < hello.services.length; i++) offered.add(viewToString(hello.services[i]));
    for (let i = 0; i < this.needs.length && offered.size > 0; i++) {
      const service = this.needs[i];
      if (offered.has(service)) continue;
      const ours = 'this module (' + this.version + ') needs ' + service;
      const message = ours + ', which ' + bridge + ' does not have; take both of the same release';
      this.lacking.push(new Lack(service, message));
    }
    return true;
  }

  /** Why no method can be asked for; no bytes if the bridge speaks our protocol. */
  get refusal(): View {
    const stranger = this.stranger;
    return stranger === null ? 0 : viewOf(stranger);
  }

  /** Why a method cannot be asked for; no bytes if it can. Good until the next bridge greets. */
  against(method: View): View {
    const stranger = this.stranger;
    if (stranger !== null) return viewOf(stranger);
    const lacking = this.lacking;
    for (let i = 0; i < lacking.length; i++) if (lacking[i].has(method)) return lacking[i].text;
    return 0;
  }
}
