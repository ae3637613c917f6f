// What compilers let callers assume about a function of their unit even without optimisation: that it throws nothing (no
// landing pads are made for its calls: gcc, clang) and that it needs no aligned stack (a call may leave the alignment out:
// gcc). The whole unit compiled anew would have such callers changed as well; a reduced one (fast/reduce.ts) has not got
// them. Reads objects only.
import type { Architecture } from '../arch/architecture';
import * as abi from '../elf/constants';
import type { ObjectFile, ObjectFunction } from '../elf/object';
import { ObjectReferences, type Reference } from './object_references';

/** Functions of libraries that are declared without `noexcept`. */
const THROWING =
  /^(_Zn[wa]m$|_ZNSolsE|_ZStls|_ZSt\d+__throw_|__cxa_(re)?throw$|_Unwind_Resume$|f?printf$|puts$)/;

/** The functions of an object, and what their code refers to. */
class Code {
  private readonly references: ObjectReferences;
  readonly arch: Architecture;
  private known: Map<ObjectFunction, { caller: ObjectFunction; at: Reference }[]> | undefined;

  constructor(readonly object: ObjectFile) {
    this.references = new ObjectReferences(object);
    this.arch = this.references.arch;
  }

  of(fn: ObjectFunction): readonly Reference[] {
    return this.references.of(fn);
  }

  /** The function of the object that a reference means. */
  target({ symbol: index, addend, beyond }: Reference): ObjectFunction | undefined {
    const symbol = this.object.symbol(index);
    const section = this.object.sectionOf(symbol);
    return section && section.flags & abi.SHF_EXECINSTR
      ? this.object.functionAt(section, symbol.value + addend + beyond)
      : undefined;
  }

  /** Of what another file defines it is not known whether it is code. */
  leadsToCode({ symbol }: Reference): boolean {
    const section = this.object.sectionOf(this.object.symbol(symbol));
    return !section || (section.flags & abi.SHF_EXECINSTR) !== 0;
  }

  /** Code that refers to a function, but for its own. */
  callersOf(fn: ObjectFunction): readonly { caller: ObjectFunction; at: Reference }[] {
    this.known ??= this.readCallers();
    return this.known.get(fn) ?? [];
  }

  private readCallers(): Map<ObjectFunction, { caller: ObjectFunction; at: Reference }[]> {
    const callers = new Map<ObjectFunction, { caller: ObjectFunction; at: Reference }[]>();
    for (const caller of this.object.functions)
      for (const at of this.of(caller)) {
        const callee = this.target(at);
        if (!callee || callee === caller) continue;
        const known = callers.get(callee);
        if (known) known.push({ caller, at });
        else callers.set(callee, [{ caller, at }]);
      }
    return callers;
  }
}

/** What callers that were compiled with one object may count on, of the new versions in another. */
export class CallerAssumptions {
  private readonly before: Code;
  private readonly after: Code;

  /**
   * @param before the object of the whole unit that the callers come from
   * @param options.mayThrow whether its language has exceptions
   * @param options.mayBeUnaligned whether its compiler leaves the alignment of the stack out
   */
  constructor(
    before: ObjectFile,
    after: ObjectFile,
    private readonly options: { mayThrow: boolean; mayBeUnaligned: boolean },
  ) {
    this.before = new Code(before);
    this.after = new Code(after);
  }

  /** May a caller have been compiled for something that the new version of a function no longer keeps to? */
  mayDisappoint(fn: ObjectFunction): boolean {
    const { before, after } = this;
    const old = before.object.functions.find(({ aliases }) =>
      aliases.some(({ name }) => name === fn.symbol.name),
    );
    if (!old) return false;
    if (
      this.options.mayBeUnaligned &&
      needsAlignment(after, fn) &&
      !needsAlignment(before, old) &&
      mayBeUnaligned(before, old)
    )
      return true;
    if (!this.options.mayThrow || before.callersOf(old).length === 0) return false;
    const known = reached(before, old);
    return [...reached(after, fn)].some((what) => !known.has(what)) && !surelyThrows(before, old, new Set());
  }
}

/** Does a function call others, or use vectors, which it may keep on the stack? */
function needsAlignment(code: Code, fn: ObjectFunction): boolean {
  return (
    code.of(fn).some((at) => code.leadsToCode(at)) ||
    code.arch
      .registerEffects(fn.object.code(fn))
      .some(
        ({ flow, reads, writes }) =>
          flow === 'call' ||
          flow === 'indirect-call' ||
          flow === 'indirect-jump' ||
          ((reads | writes) & code.arch.registers.vectors) !== 0,
      )
  );
}

/** Functions that a function leads to, by name, and all that it reaches by an address. */
function reached(code: Code, fn: ObjectFunction): Set<string> {
  const found = new Set<string>();
  for (const { flow } of code.arch.registerEffects(fn.object.code(fn)))
    if (flow === 'indirect-call' || flow === 'indirect-jump') found.add('(an address)');
  for (const at of code.of(fn)) {
    if (!code.leadsToCode(at)) continue;
    const { name } = code.object.symbol(at.symbol);
    const target = name || code.target(at)?.symbol.name;
    found.add(target ?? '(an address)');
  }
  return found;
}

/** Is it certain that the compiler did not take a function for one that throws nothing? */
function surelyThrows(code: Code, fn: ObjectFunction, seen: Set<ObjectFunction>): boolean {
  seen.add(fn);
  return code.of(fn).some((at) => {
    const symbol = code.object.symbol(at.symbol);
    if (THROWING.test(symbol.name) && symbol.section === abi.SHN_UNDEF) return true;
    const callee = code.target(at);
    return callee !== undefined && !seen.has(callee) && surelyThrows(code, callee, seen);
  });
}

/** May code of the unit enter a function with a stack that is not aligned, or do so by way of others? */
function mayBeUnaligned(code: Code, fn: ObjectFunction): boolean {
  const pending = [fn];
  const seen = new Set(pending);
  for (let callee = pending.pop(); callee; callee = pending.pop())
    for (const { caller, at } of code.callersOf(callee)) {
      const call = at.offset - caller.offset - code.arch.callField;
      const alignment = code.arch.stackAlignments(code.object.code(caller)).get(call);
      // An address that is taken is called from elsewhere, with an aligned stack.
      if (alignment === 'opposite' || alignment === 'unknown') return true;
      if (alignment !== 'as-entered' || seen.has(caller)) continue;
      seen.add(caller);
      pending.push(caller);
    }
  return false;
}
