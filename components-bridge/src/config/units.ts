const BYTE_UNITS: Record<string, number> = { '': 1, b: 1, kib: 1024, mib: 1024 ** 2, gib: 1024 ** 3 };
const TIME_UNITS: Record<string, number> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

function amount(text: string, units: Record<string, number>): number | undefined {
  const match = /^(\d{1,15}(?:\.\d{1,6})?) ?([a-z]*)$/i.exec(text.trim());
  if (!match) return undefined;
  const unit = units[(match[2] ?? '').toLowerCase()];
  if (unit === undefined) return undefined;
  const value = Number(match[1]) * unit;
  return Number.isSafeInteger(value) ? value : undefined;
}

/** Bytes from `4MiB`, `512 KiB`, `1.5GiB` or a plain number. Undefined if it is none of these. */
export function parseBytes(value: unknown): number | undefined {
  if (typeof value === 'number') return Number.isSafeInteger(value) && value >= 0 ? value : undefined;
  return typeof value === 'string' ? amount(value, BYTE_UNITS) : undefined;
}

/** Milliseconds from `15s`, `500ms`, `2m` or `1h`. A number without its unit is undefined: it could be either. */
export function parseDuration(value: unknown): number | undefined {
  return typeof value === 'string' ? amount(value, TIME_UNITS) : undefined;
}

/** Go's spellings of true and false, as Dapr and Layotto take them; undefined for any other text. */
export function parseFlag(text: string): boolean | undefined {
  if (/^(1|t|true|y|yes|on)$/i.test(text)) return true;
  return /^(0|f|false|n|no|off)$/i.test(text) ? false : undefined;
}
