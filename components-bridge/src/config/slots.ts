import type { TrapLimit } from './types.js';
import { parseDuration } from './units.js';

/** The slot of the runtime's own module. */
export const RUNTIME_SLOT = 'runtime';

/** Names of the spare slots on the runtime's listener. */
export function spareSlots(count: number): string[] {
  return Array.from({ length: count }, (_, i) => `slot-${i + 1}`);
}

/** Names of the slots for functions. */
export function functionSlots(count: number): string[] {
  return Array.from({ length: count }, (_, i) => `function-${i + 1}`);
}

/** What a function's id may be: it stands in a header and in lines of text. */
const FUNCTION_ID = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;
export const FUNCTION_ID_FORM =
  '1 to 64 letters, digits, ".", "_" and "-", of which the first is a letter or digit';

/** Whether a function may be called so. */
export function isFunctionId(value: unknown): boolean {
  return typeof value === 'string' && FUNCTION_ID.test(value);
}

/** Whether a name is taken by the slots for functions, however many there are. */
export function isFunctionSlot(name: string): boolean {
  return /^function-\d+$/.test(name);
}

/** Whether a name is taken by the slots of the runtime's listener, however many there are. */
export function isSlotName(name: string): boolean {
  return name === RUNTIME_SLOT || /^slot-\d+$/.test(name);
}

/** Whether a name is taken by the spare slots, however many there are. */
export function isSpareSlot(name: string): boolean {
  return name !== RUNTIME_SLOT && isSlotName(name);
}

/** Reads how many traps are too many, such as `3 in 60s`: 1 to 1000 of them, within a second to an hour. */
export function parseTrapLimit(value: unknown): TrapLimit | undefined {
  const [, count = '', time] =
    /^(\d{1,4}) in (\S+)$/.exec(typeof value === 'string' ? value.trim() : '') ?? [];
  const traps = Number(count);
  const withinMs = parseDuration(time);
  if (traps < 1 || traps > 1000 || withinMs === undefined || withinMs < 1_000 || withinMs > 3_600_000)
    return undefined;
  return { traps, withinMs };
}

/** Reads `HOST:PORT`. */
export function asTarget(value: unknown): { host: string; port: number } | undefined {
  if (typeof value !== 'string') return undefined;
  const [, v6, name, digits] =
    /^(?:\[([0-9a-fA-F:.]{2,45})\]|([A-Za-z0-9._-]{1,253})):(\d{1,5})$/.exec(value) ?? [];
  const host = v6 ?? name;
  const port = Number(digits);
  return host === undefined || port < 1 || port > 65535 ? undefined : { host, port };
}
