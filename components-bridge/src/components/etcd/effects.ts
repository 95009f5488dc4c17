import { check, exists, mismatch } from '../../primitives/state/etag.js';
import type { Demand } from '../../primitives/state/etag.js';
import type { StateOperation } from '../../primitives/state/store.js';

/** What is known of a key. */
export interface KnownKey {
  /** The revision at which it was written last; 0 if it is not there. */
  readonly revision: bigint;
  /** The lease that it ends with; 0 if it has none. */
  readonly lease: bigint;
}

export type Known = ReadonlyMap<string, KnownKey>;

/** What operations come to for one key. */
export type Effect = {
  readonly key: string;
  readonly known: KnownKey | undefined;
  /** Revision at which the key must have been written last, 0 if it must not be there; undefined: whatever. */
  readonly expected: bigint | undefined;
} & (
  | { readonly kind: 'delete' }
  | {
      readonly kind: 'put';
      readonly value: Uint8Array;
      /** Seconds, the expiry that the key has, or none. */
      readonly expiry: number | 'kept' | 'never';
    }
);

/** Stands for the version of a key that the same transaction wrote, which nobody can know before. */
const OWN = 'of this transaction';

/**
 * What operations, each seeing those before it, come to: one effect for each key.
 *
 * @param demands of each operation
 * @param known what is there; what it does not say of a key that something is demanded of is taken to be as demanded
 * @param defaultTtl seconds, of writes that have none of their own
 * @throws StateError of the first operation that cannot be done
 */
export function effectsOf(
  operations: readonly StateOperation[],
  demands: readonly Demand[],
  known: Known | undefined,
  defaultTtl: number | undefined,
): Effect[] {
  const effects = new Map<string, Effect>();
  operations.forEach((operation, index) => {
    const { key } = operation;
    const demand = demands[index];
    const before = effects.get(key);
    if (before === undefined) {
      const about = known?.get(key);
      const target = { key, known: about, expected: expectedOf(key, demand, about) };
      effects.set(key, effectOf(operation, target, undefined, defaultTtl));
      return;
    }
    if (before.kind === 'put') check(demand, OWN, key);
    effects.set(key, effectOf(operation, before, before, defaultTtl));
  });
  return [...effects.values()];
}

function effectOf(
  operation: StateOperation,
  { key, known, expected }: Pick<Effect, 'key' | 'known' | 'expected'>,
  before: Effect | undefined,
  defaultTtl: number | undefined,
): Effect {
  if (operation.kind === 'delete') return { kind: 'delete', key, known, expected };
  const ttl = operation.ttlSeconds ?? defaultTtl;
  const found = before === undefined ? 'kept' : before.kind === 'put' ? before.expiry : 'never';
  const expiry = ttl === undefined ? found : ttl > 0 ? ttl : 'never';
  return { kind: 'put', key, known, expected, value: operation.value, expiry };
}

/** @throws StateError if what is known is not as demanded */
function expectedOf(key: string, demand: Demand, known: KnownKey | undefined): bigint | undefined {
  if (demand === undefined) return undefined;
  if (known !== undefined) {
    const { revision } = known;
    if (revision === 0n) return 0n;
    if (demand === 'absent') throw exists(key);
    if (demand.version !== String(revision)) throw mismatch(key, demand.version, String(revision));
    return revision;
  }
  if (demand === 'absent') return 0n;
  // No revision is less than 1 or longer than this; such a one only fits a key that is not there.
  return /^[1-9]\d{0,17}$/.test(demand.version) ? BigInt(demand.version) : 0n;
}
