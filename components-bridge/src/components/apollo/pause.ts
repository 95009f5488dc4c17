const FIRST_MS = 100;
/** Changes that were missed are told within two seconds after Apollo is back, so it is looked for sooner than that. */
const LONGEST_MS = 1_000;

/** How long to wait after so many failures in a row: twice as long each time, more or less, so that clients spread. */
export function pauseMs(failures: number): number {
  return Math.min(LONGEST_MS, FIRST_MS * 2 ** (failures - 1)) * (0.75 + Math.random() / 4);
}
