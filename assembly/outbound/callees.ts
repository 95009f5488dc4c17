// Whom plain calls go to, as Envoy's configuration names them.

import { Labels } from '../config/labels';
import {
  literal,
  View,
  viewEquals,
  viewIndexOf,
  viewLen,
  viewOf,
  viewPtr,
  viewSlice,
  viewStartsWith,
} from '../wire/view';

/** How names of clusters begin: those of the runtime's own configuration, and those of a mesh. */
const CALLEE = literal('layotto_callee_');
const LISTENER = literal('layotto_outbound_');
const OTHER = literal('other');
const NONE = literal('none');
const PROXY = literal('layotto_proxy');
const MESH = literal('outbound|');
const BAR: u8 = 0x7c;

/** Names that get labels of their own, and how long they may be; all others are `other`. */
const MOST_CALLEES: i32 = 256;
const LONGEST_NAME: i32 = 255;

/**
 * The callee behind a cluster's name: of a mesh's `outbound|80|v1|inventory.shop.svc.cluster.local` the host, whatever
 * port and subset.
 *
 * @param cluster no bytes where no route leads anywhere
 */
export function calleeOf(cluster: View): View {
  const length = viewLen(cluster);
  if (length == 0) return NONE;
  if (viewStartsWith(cluster, CALLEE)) {
    // Behind a bar stands which part of the callee it is.
    const bar = viewIndexOf(cluster, BAR);
    return viewSlice(cluster, viewLen(CALLEE), bar < 0 ? length : bar);
  }
  if (viewStartsWith(cluster, LISTENER)) return viewSlice(cluster, viewLen(LISTENER), length);
  if (viewEquals(cluster, PROXY)) return OTHER;
  if (!viewStartsWith(cluster, MESH)) return cluster;
  let from = length;
  while (load<u8>(viewPtr(cluster) + from - 1) != BAR) from--;
  return from < length ? viewSlice(cluster, from, length) : cluster;
}

/** The callees that were called. A route may take its cluster's name from a header, so that there may be any number. */
export class Callees implements Labels {
  private readonly names: Array<View> = [OTHER];
  private readonly kept: Array<ArrayBuffer> = [];
  /** Calls to one callee often come one after the other. */
  private last: i32 = 0;

  /** The index that stands for a callee. */
  indexOf(name: View): i32 {
    if (viewEquals(this.names[this.last], name)) return this.last;
    for (let i = 0; i < this.names.length; i++) {
      if (!viewEquals(this.names[i], name)) continue;
      this.last = i;
      return i;
    }
    const length = viewLen(name);
    if (this.names.length >= MOST_CALLEES || length > LONGEST_NAME) return 0;
    const copy = new ArrayBuffer(length);
    memory.copy(changetype<usize>(copy), viewPtr(name), length);
    this.kept.push(copy);
    this.names.push(viewOf(copy));
    return this.names.length - 1;
  }

  mostLabels(): i32 {
    return MOST_CALLEES;
  }

  labelAt(index: i32): View {
    return this.names[index];
  }
}
