// Functions that call setjmp or the like: they come back to that call with whatever was assigned since, by a way that their
// code does not show. Reads the files of the program; asks the process nothing.
import type { Architecture, CodePiece } from '../arch/architecture';
import type { CodeModule } from '../backtrace';
import * as abi from '../elf/constants';
import type { ElfFile } from '../elf/file';
import { readImports } from '../elf/symbol_versions';
import { isSystemLibrary } from './frames';

/** What gcc takes for returning twice by its name (calls.cc, special_function_p), and getcontext(3). */
const RETURNS_TWICE = /^_{0,2}(sig)?setjmp$|^(savectx|vfork|getcontext)$/;

/** May a function come back to one of its calls a second time? Where it calls through a pointer, or is in a patch, whose calls
 * lead to addresses, that is so in a program that has a library of its own, or a program file, which asks for such a function.
 * @param pieces the code of a function of the module
 * @param all the modules of the process */
export function mayComeBack(
  { elf }: CodeModule,
  pieces: readonly CodePiece[],
  all: readonly CodeModule[],
  arch: Architecture,
): boolean {
  const { byAddress, bySlot } = elf.derived(namesIn);
  let isUnknown = false;
  for (const { address, bytes } of pieces)
    for (const { flow, target } of arch.registerEffects(bytes)) {
      if (flow === 'indirect-call') isUnknown = true;
      if (flow !== 'call') continue;
      const called = address + target;
      if (byAddress.has(called)) return true;
      const stub = elf.loaded(called, arch.longestStub);
      const slot = stub && arch.slotOfStub(stub, called);
      if (slot === undefined) continue;
      const name = bySlot.get(slot);
      if (name === undefined) isUnknown = true;
      else if (RETURNS_TWICE.test(name)) return true;
    }
  return isUnknown && all.some(({ path, elf: other }) => !isSystemLibrary(path) && other.derived(asksForOne));
}

/** Functions of the module's own that return twice, and the imported names that its slots are for. */
function namesIn(elf: ElfFile): { byAddress: ReadonlySet<number>; bySlot: ReadonlyMap<number, string> } {
  const own = elf
    .symbols()
    .filter(({ name, section }) => section !== abi.SHN_UNDEF && RETURNS_TWICE.test(name));
  const names = elf.symbols(abi.SHT_DYNSYM);
  const bySlot = new Map<number, string>();
  for (const section of elf.sections)
    if (section.type === abi.SHT_RELA && section.flags & abi.SHF_ALLOC)
      for (const { offset, symbol } of elf.relocations(section))
        bySlot.set(offset, names[symbol]?.name ?? '');
  return { byAddress: new Set(own.map(({ value }) => value)), bySlot };
}

function asksForOne(elf: ElfFile): boolean {
  return [...readImports(elf).keys()].some((name) => RETURNS_TWICE.test(name));
}
