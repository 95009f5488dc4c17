import type { Differences } from './compare.js';

/** Why we answer otherwise than the peer. */
export interface KnownDifference {
  /** Field by field: the peer's answer and ours, exactly. */
  fields: Differences;
  /** Why ours is better, or why it is accepted. */
  reason: string;
}

/** Recording, then label of the row. */
export const differences: Record<string, Record<string, KnownDifference>> = {};
