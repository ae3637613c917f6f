// What compilers let callers assume about a function of their unit even without optimisation: that it throws nothing (no
// landing pads are made for its calls: gcc, clang) and that it needs no aligned stack (a call may leave the alignment out:
// gcc). The whole unit compiled anew would have such callers changed as well; a reduced one has not got them. Part of
// first light; reads objects only.
import { registerEffects } from '../arch/x86_64/registers';
import { stackAlignments } from '../arch/x86_64/stack_alignment';
import * as abi from '../elf/constants';
import type { Relocation } from '../elf/file';
import type { ObjectFile, ObjectFunction } from '../elf/object';

/** Vector registers (arch/x86_64/registers.ts). */
const VECTORS = 0xffff_0000 | 0;
/** Functions of libraries that are declared without `noexcept`. */
const THROWING =
  /^(_Zn[wa]m$|_ZNSolsE|_ZStls|_ZSt\d+__throw_|__cxa_(re)?throw$|_Unwind_Resume$|f?printf$|puts$)/;

/** May a caller have been compiled for something that a new version of a function no longer keeps to?
 * @param before the object of the whole unit that the callers come from
 * @param options.mayThrow whether its language has exceptions
 * @param options.mayBeUnaligned whether its compiler leaves the alignment of the stack out */
export function mayDisappointCallers(
  before: ObjectFile,
  fn: ObjectFunction,
  { mayThrow, mayBeUnaligned }: { mayThrow: boolean; mayBeUnaligned: boolean },
): boolean {
  const old = before.functions.find(({ aliases }) => aliases.some(({ name }) => name === fn.symbol.name));
  if (!old) return false;
  const callers = new Callers(before);
  if (mayBeUnaligned && needsAlignment(fn) && !needsAlignment(old) && callers.mayBeUnaligned(old))
    return true;
  if (!mayThrow || callers.of(old).length === 0) return false;
  const known = reached(old);
  return [...reached(fn)].some((what) => !known.has(what)) && !surelyThrows(old, new Set());
}

/** Does the code call others, or use vectors, which it may keep on the stack? */
function needsAlignment({ object, section, offset, size }: ObjectFunction): boolean {
  const code = object.elf.data(section).subarray(offset, offset + size);
  return (
    object.relocationsIn(section, offset, offset + size).some((at) => leadsToCode(object, at)) ||
    registerEffects(code).some(
      ({ flow, reads, writes }) =>
        flow === 'call' ||
        flow === 'indirect-call' ||
        flow === 'indirect-jump' ||
        ((reads | writes) & VECTORS) !== 0,
    )
  );
}

/** Functions that code leads to, by name, and all that it reaches by an address. */
function reached(fn: ObjectFunction): Set<string> {
  const { object, section, offset, size } = fn;
  const found = new Set<string>();
  for (const { flow } of registerEffects(object.code(fn)))
    if (flow === 'indirect-call' || flow === 'indirect-jump') found.add('(an address)');
  for (const at of object.relocationsIn(section, offset, offset + size)) {
    if (!leadsToCode(object, at)) continue;
    const symbol = object.symbol(at.symbol);
    found.add(symbol.name || `${object.sectionOf(symbol)?.name ?? ''}+${symbol.value + at.addend}`);
  }
  return found;
}

/** Of what another file defines it is not known whether it is code. */
function leadsToCode(object: ObjectFile, { symbol }: Relocation): boolean {
  const section = object.sectionOf(object.symbol(symbol));
  return !section || (section.flags & abi.SHF_EXECINSTR) !== 0;
}

/** Is it certain that the compiler did not take a function for one that throws nothing? */
function surelyThrows(fn: ObjectFunction, seen: Set<ObjectFunction>): boolean {
  seen.add(fn);
  const { object, section, offset, size } = fn;
  return object.relocationsIn(section, offset, offset + size).some((at) => {
    const symbol = object.symbol(at.symbol);
    if (THROWING.test(symbol.name) && symbol.section === abi.SHN_UNDEF) return true;
    const callee = calleeOf(object, at);
    return callee !== undefined && !seen.has(callee) && surelyThrows(callee, seen);
  });
}

/** The function of the object that a call or an address in code means: they count from the end of a field of 4 bytes. */
function calleeOf(
  object: ObjectFile,
  { symbol: index, type, addend }: Relocation,
): ObjectFunction | undefined {
  const symbol = object.symbol(index);
  const section = object.sectionOf(symbol);
  if (!section || !(section.flags & abi.SHF_EXECINSTR)) return undefined;
  const beyond = type === abi.R_X86_64_PC32 || type === abi.R_X86_64_PLT32 ? 4 : 0;
  return object.functionAt(section, symbol.value + addend + beyond);
}

/** Who refers to whom in the code of an object. */
class Callers {
  private readonly callers = new Map<ObjectFunction, { caller: ObjectFunction; at: Relocation }[]>();

  constructor(private readonly object: ObjectFile) {
    for (const caller of object.functions)
      for (const at of object.relocationsIn(caller.section, caller.offset, caller.offset + caller.size)) {
        const callee = calleeOf(object, at);
        if (!callee || callee === caller) continue;
        const known = this.callers.get(callee);
        if (known) known.push({ caller, at });
        else this.callers.set(callee, [{ caller, at }]);
      }
  }

  of(fn: ObjectFunction): readonly { caller: ObjectFunction; at: Relocation }[] {
    const neighbours = this.object.functionsIn(fn.section).filter((other) => other !== fn);
    // Within a section, the assembler resolves calls itself.
    return [
      ...(this.callers.get(fn) ?? []),
      ...neighbours.map((caller) => ({ caller, at: { offset: -1, type: 0, symbol: 0, addend: 0 } })),
    ];
  }

  /** May code of the unit enter a function with a stack that is not aligned, or do so by way of others? */
  mayBeUnaligned(fn: ObjectFunction): boolean {
    const pending = [fn];
    const seen = new Set(pending);
    for (let callee = pending.pop(); callee; callee = pending.pop())
      for (const { caller, at } of this.of(callee)) {
        const code = this.object.code(caller);
        // The instruction of a call begins before its field.
        const calls = [...stackAlignments(code)].filter(
          ([offset]) => at.offset < 0 || offset === at.offset - caller.offset - 1,
        );
        // An address that is taken is called from elsewhere, with an aligned stack.
        if (calls.some(([, alignment]) => alignment === 'opposite' || alignment === 'unknown')) return true;
        if (!calls.some(([, alignment]) => alignment === 'as-entered') || seen.has(caller)) continue;
        seen.add(caller);
        pending.push(caller);
      }
    return false;
  }
}
