// What the filter knows of a configured component.

import { literal, View, viewEquals, viewLen, viewOf, viewPtr } from '../wire/view';

/** Where a component stands. */
export enum Standing {
  /** The bridge has not said yet, or has not tried it yet. */
  Starting,
  Up,
  Down,
}

/** A configured component, as far as the filter needs to know it. */
export class Component {
  /** Counts from 0 within a configuration. */
  index: i32 = 0;
  name: View = 0;
  /** For example "state.redis". */
  type: View = 0;
  version: View = literal('v1');
  /** The building block it serves, for example "state". */
  primitive: View = 0;
  capabilities: Array<View> = [];
  /** How old an answer kept in Envoy may be, in milliseconds; 0: none are kept. */
  nearCacheMs: i32 = 0;
  /** Gives ids in runs, which Envoy hands out by itself. */
  givesRuns: bool = false;
  /** Where it stands, as the bridge said last. */
  standing: Standing = Standing.Starting;
  private reasonBytes: ArrayBuffer | null = null;

  /** Why it is not up; no bytes if it is, or nothing is known. */
  get reason(): View {
    const bytes = this.reasonBytes;
    return bytes === null ? 0 : viewOf(bytes);
  }

  /** Keeps a copy. */
  setReason(reason: View): void {
    const length = viewLen(reason);
    if (viewEquals(this.reason, reason)) return;
    if (length == 0) {
      this.reasonBytes = null;
      return;
    }
    const bytes = new ArrayBuffer(length);
    memory.copy(changetype<usize>(bytes), viewPtr(reason), length);
    this.reasonBytes = bytes;
  }
  /** How stale an answer may be that Envoy gives by itself, in milliseconds; 0: it gives none. */
  answerInEnvoyMs: i32 = 0;

  /** Whether the component has declared a feature, for example "TRANSACTIONAL". */
  can(capability: View): bool {
    for (let i = 0; i < this.capabilities.length; i++) {
      if (viewEquals(this.capabilities[i], capability)) return true;
    }
    return false;
  }
}
