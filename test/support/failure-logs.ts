import { addEventHandler } from 'jest-circus';

const sources = new Set<() => string>();
let registered = false;

/**
 * Prints `tail()` beneath every test of this file that fails, for as long as the returned function has not
 * been called. What a child process wrote is often the only trace of why.
 */
export function showOnFailure(tail: () => string): () => void {
  sources.add(tail);
  if (!registered) {
    registered = true;
    addEventHandler((event) => {
      if (event.name !== 'test_done' || event.test.errors.length === 0 || sources.size === 0) return;
      const text = [...sources].map((source) => source()).join('\n');
      process.stderr.write(`\nwhat the processes wrote before "${event.test.name}" failed:\n${text}\n`);
    });
  }
  return () => sources.delete(tail);
}
