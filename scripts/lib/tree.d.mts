export const root: string;
export function filesUnder(folder: string, accept: (name: string) => boolean): string[];
export function unlessCurrent(step: {
  stamp: string;
  inputs: string[];
  outputs: string[];
  run: () => Promise<void> | void;
}): Promise<boolean>;
