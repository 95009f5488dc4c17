import type { HeaderField } from '../support/h2/hpack.js';
import type { Random } from '../wire/random.js';
import type { Ending } from './cases.js';

/** A body in pieces: mostly one, else cut at some places, or at every byte. */
export function inPieces(body: Uint8Array, random: Random): Uint8Array[] {
  if (body.length === 0) return random.oneIn(4) ? [body] : [];
  const choice = random.below(20);
  if (choice < 14) return [body];
  if (choice < 17) return cutAt(body, [random.below(body.length + 1)]);
  if (choice < 19 || body.length > 300) {
    return cutAt(
      body,
      Array.from({ length: 2 + random.below(5) }, () => random.below(body.length + 1)),
    );
  }
  return cutAt(
    body,
    Array.from(body, (_, at) => at),
  );
}

/** The body cut at these places. No two pieces in a row are empty: for that alone Envoy ends a connection. */
export function cutAt(body: Uint8Array, places: readonly number[]): Uint8Array[] {
  const ends = [...new Set([...places, body.length])].sort((a, b) => a - b);
  return ends.map((end, index) => body.subarray(ends[index - 1] ?? 0, end));
}

/** How a request stops: mostly as it should. */
export function anEnding(random: Random): Ending {
  const choice = random.below(200);
  if (choice < 170) return 'end';
  if (choice < 180) return 'trailers';
  if (choice < 194) return 'reset';
  if (choice < 197) return 'open';
  return 'hang-up';
}

/** Trailers a client may send, and some it has no reason to. */
export function someTrailers(random: Random): HeaderField[] {
  return random.pick<HeaderField[]>([
    [['x-trailer', 'x']],
    [['grpc-status', '0']],
    [['x-layotto-reply', '1']],
    [
      ['a', ''],
      ['b', '\u00ff'],
    ],
  ]);
}
