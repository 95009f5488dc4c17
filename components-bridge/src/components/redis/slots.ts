/** How many slots a cluster has. */
export const SLOTS = 16_384;

/** CRC-16/XMODEM by byte, as Redis Cluster uses it. */
const CRC = Uint16Array.from({ length: 256 }, (_, byte) => {
  let crc = byte << 8;
  for (let bit = 0; bit < 8; bit++) crc = crc & 0x8000 ? (crc << 1) ^ 0x1021 : crc << 1;
  return crc & 0xffff;
});

/** The slot of a key: of what stands between its first `{` and the next `}`, if that is anything, else of all. */
export function slotOf(key: string): number {
  const open = key.indexOf('{');
  const close = open === -1 ? -1 : key.indexOf('}', open + 1);
  const hashed = close > open + 1 ? key.slice(open + 1, close) : key;
  let crc = 0;
  for (let index = 0; index < hashed.length; index++) {
    const unit = hashed.charCodeAt(index);
    if (unit > 0x7f) return slotOfBytes(Buffer.from(hashed));
    crc = ((crc << 8) & 0xffff) ^ (CRC[(crc >> 8) ^ unit] as number);
  }
  return crc % SLOTS;
}

function slotOfBytes(bytes: Uint8Array): number {
  let crc = 0;
  for (const byte of bytes) crc = ((crc << 8) & 0xffff) ^ (CRC[(crc >> 8) ^ byte] as number);
  return crc % SLOTS;
}

/** By slot: a short text that is in it. Made when it is first needed. */
let tags: readonly string[] | undefined;

/** A short text of letters and digits, always the same, that is in a slot. */
export function tagOf(slot: number): string {
  tags ??= allTags();
  return tags[slot] ?? '';
}

/** The first number in base 36 that is in each slot. */
function allTags(): string[] {
  const found = new Array<string>(SLOTS).fill('');
  for (let number = 0, left = SLOTS; left > 0; number++) {
    const text = number.toString(36);
    const slot = slotOf(text);
    if (found[slot] !== '') continue;
    found[slot] = text;
    left--;
  }
  return found;
}

/** A range of slots as CLUSTER SLOTS tells it. */
export interface SlotRange {
  from: number;
  to: number;
  /** Who serves it: the primary, then its replicas. Empty host: the node that was asked. */
  nodes: { host: string; port: number }[];
}

/**
 * The answer to CLUSTER SLOTS.
 *
 * @throws Error if it is not one
 */
export function parseSlotRanges(answer: unknown): SlotRange[] {
  return list(answer).map((range) => {
    const [from, to, ...nodes] = list(range);
    if (!isSlot(from) || !isSlot(to)) throw new Error('CLUSTER SLOTS was answered with something else');
    return {
      from,
      to,
      nodes: nodes.map((node) => {
        const [host, port] = list(node);
        return { host: typeof host === 'string' ? host : '', port: Number(port) };
      }),
    };
  });
}

function list(value: unknown): unknown[] {
  if (!Array.isArray(value)) throw new Error('CLUSTER SLOTS was answered with something else');
  return value as unknown[];
}

function isSlot(value: unknown): value is number {
  return Number.isInteger(value) && (value as number) >= 0 && (value as number) < SLOTS;
}

/** Where a node sends a command to instead. */
export interface Redirect {
  /** `moved`: the slot is served there from now on; `ask`: only this command, and only if it is told so. */
  kind: 'moved' | 'ask';
  /** Empty host: the node that answered. */
  host: string;
  port: number;
}

/** What an answer such as `MOVED 3999 127.0.0.1:6381` says; undefined if it is no redirect. */
export function parseRedirect(message: string): Redirect | undefined {
  const match = /^(MOVED|ASK) \d+ (.*):(\d+)$/.exec(message);
  if (match === null) return undefined;
  const [, code, host = '', port] = match;
  return { kind: code === 'ASK' ? 'ask' : 'moved', host, port: Number(port) };
}
