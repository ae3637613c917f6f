// How a process is named where several may be of one program. Pure.
import { basename } from 'node:path';
import type { PatchableProcess } from '../../engine/model/result';

/** Its arguments as one line; empty when it has none. */
export function argumentsOf({ commandLine }: Pick<PatchableProcess, 'commandLine'>): string {
  return commandLine.slice(1).join(' ');
}

/** `service (4242)`, or `3 × service`. */
export function describe(processes: readonly PatchableProcess[]): string {
  const [first] = processes;
  if (!first) return '';
  if (processes.length === 1) return `${nameOf(first)} (${first.pid})`;
  return processes.every((process) => nameOf(process) === nameOf(first))
    ? `${processes.length} × ${nameOf(first)}`
    : `${processes.length} processes`;
}

/** The kernel cuts a name after 15 bytes. */
function nameOf({ name, exe }: Pick<PatchableProcess, 'name' | 'exe'>): string {
  return name.length === 15 && basename(exe).startsWith(name) ? basename(exe) : name;
}
