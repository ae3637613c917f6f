// Processes by their program, for tests in which VS Code starts some.
import { readdirSync, readlinkSync } from 'node:fs';

export function processesOf(program: string): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      try {
        return readlinkSync(`/proc/${pid}/exe`) === program;
      } catch {
        return false; // it has ended, or is not ours
      }
    });
}
