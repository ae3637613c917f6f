// In which sources of the running processes a function of some name is defined, by their debug information: what
// `hot-patch deoptimize NAME` needs, which names no file. Walks all units of the modules: for a person who waits.
import type { EngineContext, LiveModule } from '../context';
import type { Target } from '../engine';
import { functionLines } from '../dwarf/functions';
import { readUnits } from '../dwarf/units';
import type { ElfFile } from '../elf/file';
import { HotPatchError } from '../model/errors';
import type { PatchableProcess } from '../model/result';

export function createFunctionSources(
  list: () => Promise<PatchableProcess[]>,
  modules: EngineContext['processes']['modules'],
  demangle: EngineContext['demangle'],
): (name: string, target: Target) => Promise<string[]> {
  /** None of one that has ended. */
  const modulesOf = async (pid: number): Promise<LiveModule[]> => {
    try {
      return await modules(pid);
    } catch (thrown) {
      if (thrown instanceof HotPatchError && thrown.code === 'process-gone') return [];
      throw thrown;
    }
  };
  return async (name, target) => {
    const processes = (await list()).filter(({ pid, runtime }) =>
      target.kind === 'pid' ? target.pids.includes(pid) : runtime !== undefined,
    );
    const sources = new Set<string>();
    for (const { pid } of processes)
      for (const { elf } of await modulesOf(pid))
        for (const source of await sourcesIn(elf, name, demangle)) sources.add(source);
    return [...sources];
  };
}

async function sourcesIn(elf: ElfFile, name: string, demangle: EngineContext['demangle']): Promise<string[]> {
  const bare = name.replace(/\(.*$/, '');
  const unqualified = bare.split('::').at(-1)!;
  const found = readUnits(elf).flatMap((unit) => {
    try {
      return functionLines(elf, unit).filter(
        // What a header declares is in every unit.
        (place) => place.file === unit.path && (place.symbol === name || place.name === unqualified),
      );
    } catch (thrown) {
      // Its entries are in a file that is not there.
      if (thrown instanceof HotPatchError) return [];
      throw thrown;
    }
  });
  const names = await demangle(found.map(({ symbol }) => symbol));
  return found
    .filter(({ symbol, name: own }, index) => {
      const demangled = names[index]!;
      // Of a local function debug information has the unqualified name alone.
      return (
        symbol === own ||
        symbol === name ||
        demangled === name ||
        `::${demangled.replace(/\(.*$/, '')}`.endsWith(`::${bare}`)
      );
    })
    .map(({ file }) => file);
}
