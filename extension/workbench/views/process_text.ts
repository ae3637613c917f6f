// How a process is named where several may be of one program. Pure.
import { basename } from 'node:path';
import type { PatchableProcess } from '../../engine/model/result';
import { twinsOf } from '../state/queries';
import { processKey, type State } from '../state/state';

/** Characters of arguments that are shown: the tooltip has all of them. */
const SHOWN = 40;

/** Its arguments as one line; empty when it has none. */
export function argumentsOf({ commandLine }: Pick<PatchableProcess, 'commandLine'>): string {
  return commandLine.slice(1).join(' ');
}

/** What tells a process from others of its program: the first of arguments, ports, name of its launch and folder that no
 * other has, else all of them in which it differs from one. Empty where only the numbers are different. */
export function distinctionOf(state: State, process: PatchableProcess): string {
  const twins = twinsOf(state, process);
  const kinds: ((of: PatchableProcess) => string)[] = [
    argumentsOf,
    (of) => (state.twins.get(processKey(of))?.ports ?? []).map((port) => `port ${port}`).join(', '),
    (of) => state.twins.get(processKey(of))?.name ?? '',
    ({ cwd }) => cwd,
  ];
  const isOther = (kind: (typeof kinds)[number]) => (twin: PatchableProcess) => kind(twin) !== kind(process);
  const telling = kinds.filter((kind) => kind(process) !== '' && twins.some(isOther(kind)));
  const sufficient = telling.find((kind) => twins.every(isOther(kind)));
  return (sufficient ? [sufficient] : telling).map((kind) => shortened(kind(process))).join(' · ');
}

/** Arguments differ at their ends more often than at their beginnings. */
function shortened(text: string): string {
  return text.length <= SHOWN ? text : `…${text.slice(text.length - SHOWN)}`;
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
