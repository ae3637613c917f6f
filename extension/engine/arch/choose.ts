// Which architecture an ELF file is for: the only place, with disassembler.ts, that knows which ones
// there are.
import type { ElfFile } from '../elf/file';
import { HotPatchError } from '../model/errors';
import type { Architecture } from './architecture';
import { x86_64 } from './x86_64/x86_64';

/** By Node.js' names of processors. */
const HOSTS: Readonly<Record<string, Architecture>> = { x64: x86_64 };

const ARCHITECTURES: ReadonlyMap<number, Architecture> = new Map(
  [x86_64].map((architecture) => [architecture.machine, architecture]),
);

/** Throws HotPatchError unsupported-object for a machine that is not known. */
export function architectureOf({ machine, path }: Pick<ElfFile, 'machine' | 'path'>): Architecture {
  const architecture = ARCHITECTURES.get(machine);
  if (!architecture)
    throw new HotPatchError(
      'unsupported-object',
      `${path} is for another machine (${machine} in its ELF header)`,
    );
  return architecture;
}

/** That of the machine that the engine runs on. Throws HotPatchError unsupported-platform. */
export function hostArchitecture(): Architecture {
  const architecture = HOSTS[process.arch];
  if (!architecture) throw new HotPatchError('unsupported-platform', `This is a ${process.arch} machine`);
  return architecture;
}
