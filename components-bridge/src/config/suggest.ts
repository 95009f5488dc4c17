/**
 * The number of edits (insert, delete, replace, swap of neighbours) from one word to another; `limit + 1` as
 * soon as it is certain to exceed `limit`.
 */
export function editDistance(from: string, to: string, limit: number): number {
  if (Math.abs(from.length - to.length) > limit) return limit + 1;
  let before: number[] = [];
  let previous = Array.from({ length: to.length + 1 }, (_, column) => column);
  for (let row = 1; row <= from.length; row++) {
    const current = [row];
    for (let column = 1; column <= to.length; column++) {
      const same = from[row - 1] === to[column - 1];
      let best = Math.min(
        (previous[column] ?? 0) + 1,
        (current[column - 1] ?? 0) + 1,
        (previous[column - 1] ?? 0) + (same ? 0 : 1),
      );
      const swapped =
        row > 1 && column > 1 && from[row - 1] === to[column - 2] && from[row - 2] === to[column - 1];
      if (swapped) best = Math.min(best, (before[column - 2] ?? 0) + 1);
      current.push(best);
    }
    if (Math.min(...current) > limit) return limit + 1;
    before = previous;
    previous = current;
  }
  return previous[to.length] ?? limit + 1;
}

/** The known word nearest to what was written, if it is near enough to be a slip; case does not count. */
export function nearest(written: string, known: Iterable<string>): string | undefined {
  const word = written.toLowerCase();
  if (word.length > 64) return undefined;
  let limit = word.length <= 3 ? 1 : word.length <= 7 ? 2 : 3;
  let found: string | undefined;
  for (const candidate of known) {
    const distance = editDistance(word, candidate.toLowerCase(), limit);
    if (distance <= limit && distance < Math.max(word.length, candidate.length)) {
      found = candidate;
      limit = distance - 1;
      if (limit < 0) break;
    }
  }
  return found;
}

/** `did you mean "port"?` or, if nothing is near, the list of what is known. */
export function hint(written: string, known: Iterable<string>): string {
  const names = [...known];
  const guess = nearest(written, names);
  if (guess !== undefined) return `did you mean "${guess}"?`;
  return names.length === 0 ? 'none is known here' : `known: ${names.join(', ')}`;
}
