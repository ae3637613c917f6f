// Cells that are known to be wrong today, each with its cause. A cell that is listed here and is right fails the run,
// so that the list stays true.

export interface Known {
  construct: string;
  variants: RegExp;
  cause: string;
}

export const KNOWN: readonly Known[] = [];
