// A code lens as plain data: lens_content.ts and held_lenses.ts make them, code_lens.ts shows them.
import type { Command } from '../contributions';

export interface Lens {
  readonly line: number;
  readonly title: string;
  readonly tooltip: string;
  readonly command: Command;
  readonly parameters: readonly unknown[];
}
