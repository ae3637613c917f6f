// The texts that the running code comes from, by unit: what first light compares a saved text with. One is set where the
// whole unit was compiled and compared, and is good as long as the process, the headers and the command are what they
// were then. Remembers only; decides nothing.
import type { CompileEntry, CompiledUnit } from '../context';
import type { ObjectFile } from '../elf/object';
import type { ProcessStatus } from '../model/result';
import type { ScannedText } from './edit';

export interface Baseline {
  entry: CompileEntry;
  /** How the unit was compiled. */
  compiled: CompiledUnit;
  /** The whole unit. */
  object: ObjectFile;
  language: 'c' | 'c++';
  text: string;
  /** Undefined: it is not certain where its functions are. */
  scanned: ScannedText | undefined;
  /** Files that the compiler read, with what tells a version of them from another. */
  files: ReadonlyMap<string, string>;
  /** By pid: the state of each process whose code comes from the text. */
  processes: Map<number, string>;
  /** Declarations of functions that were delivered since and not confirmed yet. */
  unconfirmed: Set<string>;
}

/** Objects are kept with them. */
const MOST = 24;

export class Baselines {
  private readonly units = new Map<string, Baseline>();

  of(source: string): Baseline | undefined {
    return this.units.get(source);
  }

  set(source: string, baseline: Baseline): void {
    this.units.delete(source);
    this.units.set(source, baseline);
    for (const oldest of this.units.keys()) if (this.units.size > MOST) this.units.delete(oldest);
  }

  forget(source: string): void {
    this.units.delete(source);
  }

  /** A save changed a process: what was so of all other units is so still. */
  processChanged(pid: number, before: string, after: string): void {
    for (const { processes } of this.units.values())
      if (processes.get(pid) === before) processes.set(pid, after);
  }
}

/** What tells the code that runs in a process from other code: the versions of its functions. */
export function stateOf(startTime: number, { functions }: ProcessStatus): string {
  const running = functions.map(({ address, version, versions }) => {
    const body = versions.find((one) => one.version === version);
    return `${address}=${version}:${body?.patch ?? ''}:${body?.address ?? ''}`;
  });
  return [startTime, ...running.sort()].join(' ');
}
