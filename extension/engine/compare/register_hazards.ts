// The hazard of interprocedural register allocation (gcc -fipa-ra, on from -O1): a caller of the unit may keep values
// in caller-saved registers across a call of a function that was known not to touch them. A caller whose code depends
// on it is recompiled and patched too. The remaining hazard is a caller that is already executing its old code: it will
// call the new function, which may clobber registers that the old one preserved. Computes which registers such callers
// rely on. If code before the new function can save and restore them, the new function gets it (a register keeper of
// arch/); if not, the caller is named, so that the runtime applies the patch only while it is
// on no stack. The same for the alignment of the stack
// (-fipa-stack-alignment), which callers leave out for callees that need none. Reads code, decides nothing else.
import * as abi from '../elf/constants';
import type { ObjectFile, ObjectFunction } from '../elf/object';
import type { Guard } from '../patch_format/note';
import type { Architecture, RegisterEffects, RegisterSet, StackAlignment } from '../arch/architecture';
import type { CallingConvention } from '../types/calling_convention';
import type { Body, LiveFunction } from '../live/functions';
import { lowerBound } from '../shared/search';
import { liveBehindCalls } from './liveness';
import type { UnitComparison } from './unit';

export interface RegisterHazards {
  /** Registers that new functions must leave as they are, by function. */
  preserved: Map<ObjectFunction, RegisterSet>;
  /** Old code that must not be running: it keeps values in registers that a callee now uses. */
  guards: Guard[];
}

/** A function as code of the process reaches it: in its new version, or, where old code goes on calling the old one,
 * in that. */
type Reached = ObjectFunction | LiveFunction;

/** A caller's old code, and what it keeps in registers across a call. */
interface Reliance {
  caller: Guard;
  callee: Reached;
  /** Live behind the call, and not used by the callee that the caller was compiled for. */
  registers: number;
  /** Of them, vector registers that the caller uses beyond their lower 128 bits. */
  wide: number;
}

/** @param conventions how the fresh functions are called; of a function that is not in it nothing is known
 * @param redirected those whose callers enter through the original entry
 * @param mayUseIpaRa whether callers may keep values in registers across calls at all */
export function registerHazards(
  comparison: UnitComparison,
  conventions: ReadonlyMap<string, CallingConvention>,
  redirected: readonly ObjectFunction[],
  mayUseIpaRa: boolean,
): RegisterHazards {
  const before = new LiveRegisters(comparison);
  const { arch } = before;
  const kept = mayUseIpaRa
    ? keptRegisters(comparison, conventions, redirected, before)
    : { preserved: new Map<ObjectFunction, number>(), guards: [] };
  const unaligned = unalignedCallers(comparison, before);
  const guards = new Map(kept.guards.map((guard) => [guard.start, guard]));
  for (const fn of redirected) {
    const callers = unaligned.get(comparison.of(fn).live!);
    if (!callers || !needsAlignment(comparison.object.code(fn), arch)) continue;
    // Of a clone the debug information says nothing, its code does.
    const inRegisters =
      conventions.get(fn.symbol.name)?.inRegisters ?? !arch.mayReadStackArguments(comparison.object.code(fn));
    if (inRegisters) kept.preserved.set(fn, (kept.preserved.get(fn) ?? 0) | arch.registers.stackAlignment);
    else for (const caller of callers) guards.set(caller.start, caller);
  }
  return { preserved: kept.preserved, guards: [...guards.values()] };
}

/** May code fail whose stack is not aligned? It calls others, or uses vectors, which it may keep on the stack. */
function needsAlignment(code: Uint8Array, arch: Architecture): boolean {
  return arch
    .registerEffects(code)
    .some(
      ({ flow, target, reads, writes }) =>
        flow === 'call' ||
        flow === 'indirect-call' ||
        flow === 'indirect-jump' ||
        ((flow === 'jump' || flow === 'branch') && (target < 0 || target >= code.length)) ||
        ((reads | writes) & arch.registers.vectors) !== 0,
    );
}

/** Functions that old code may call with a stack that is not aligned, with the code that does so itself. A caller whose
 * own code depends on it was compiled anew; what remains is one that runs. A function that is entered so goes on to
 * enter others so. */
function unalignedCallers(
  comparison: UnitComparison,
  before: LiveRegisters,
): ReadonlyMap<LiveFunction, ReadonlySet<Guard>> {
  const entered = new Map<LiveFunction, Set<Guard>>();
  const pending: LiveFunction[] = [];
  const note = (callee: LiveFunction, caller: Guard): void => {
    const callers = entered.get(callee);
    if (callers) {
      callers.add(caller);
      return;
    }
    entered.set(callee, new Set([caller]));
    pending.push(callee);
  };
  const visit = (
    fn: ObjectFunction,
    live: LiveFunction,
    isUnaligned: (at: StackAlignment) => boolean,
  ): void => {
    for (const body of [{ address: live.entry, size: live.size }, ...live.versions]) {
      const caller = { start: body.address, length: body.size, name: fn.symbol.name };
      const { alignments, effects } = before.callsOf(body);
      for (const { flow, offset, target } of effects) {
        const alignment = alignments.get(offset);
        if (alignment === undefined || flow === 'indirect-call' || !isUnaligned(alignment)) continue;
        const callee = before.functionAt(body.address + target)?.live;
        if (callee && callee !== live) note(callee, caller);
      }
    }
  };
  for (const { fn, live, status } of comparison.functions)
    if (live && (status === 'changed' || live.versions.length > 0))
      visit(fn, live, (alignment) => alignment === 'opposite' || alignment === 'unknown');
  for (let live = pending.pop(); live; live = pending.pop())
    visit(before.functionAt(live.entry)!.fn, live, (alignment) => alignment === 'as-entered');
  return entered;
}

function keptRegisters(
  comparison: UnitComparison,
  conventions: ReadonlyMap<string, CallingConvention>,
  redirected: readonly ObjectFunction[],
  before: LiveRegisters,
): RegisterHazards {
  const entered = new Set(redirected);
  const fromOldCode = ({ fn, live }: { fn: ObjectFunction; live: LiveFunction }): Reached =>
    entered.has(fn) || !staysAsItRuns(comparison, fn) ? fn : live;
  const reliances = relianceOfOldCode(comparison, before, fromOldCode);
  const preserved = new Map<ObjectFunction, RegisterSet>();
  if (reliances.length === 0) return { preserved, guards: [] };
  const { callerSaved } = before.arch.registers;
  const grown = (after: ReadonlyMap<Reached, number>, { callee, registers }: Reliance): number =>
    (after.get(callee) ?? callerSaved) & registers;
  const registersAfter = (): Map<Reached, number> =>
    withCallees(
      new Map<Reached, Use<Reached>>([...freshUses(comparison, preserved), ...before.uses(fromOldCode)]),
      callerSaved,
    );
  const plain = registersAfter();
  const wanted = reliances.reduce((union, reliance) => union | grown(plain, reliance), 0);
  const wide = reliances.reduce((union, reliance) => union | reliance.wide, 0);
  if (wanted === 0) return { preserved, guards: [] };
  for (const fn of redirected) {
    const { live } = comparison.of(fn);
    const convention = conventions.get(fn.symbol.name);
    // Code that uses the stack can stand before a function when it has all its arguments in registers.
    if (!convention?.inRegisters) continue;
    const registers = (plain.get(fn) ?? 0) & ~before.used(live!) & ~convention.results & wanted & ~wide;
    if (registers !== 0) preserved.set(fn, registers);
  }
  const after = registersAfter();
  const guards = new Map<number, Guard>();
  for (const reliance of reliances)
    if (grown(after, reliance) !== 0) guards.set(reliance.caller.start, reliance.caller);
  return { preserved, guards: [...guards.values()] };
}

/** Is what runs of a function, if it is not entered anew, other code than the object has of it? */
function staysAsItRuns(comparison: UnitComparison, fn: ObjectFunction): boolean {
  return comparison.object.isLeftOut(fn) || comparison.of(fn).status === 'changed';
}

function relianceOfOldCode(
  comparison: UnitComparison,
  before: LiveRegisters,
  fromOldCode: (callee: { fn: ObjectFunction; live: LiveFunction }) => Reached,
): Reliance[] {
  const { registers: all } = before.arch;
  const found: Reliance[] = [];
  for (const { fn, live, status } of comparison.functions) {
    // Unchanged and never patched: compiled together with its callees, so its register assumptions hold.
    if (!live || (status !== 'changed' && live.versions.length === 0)) continue;
    const original = { address: live.entry, size: live.size };
    for (const body of [original, ...live.versions]) {
      const { effects } = before.callsOf(body);
      // A version was compiled for the original callees or for one of their versions: which, is not known.
      const used = (callee: LiveFunction): number =>
        body === original ? before.usedByOriginal(callee) : before.used(callee);
      const callees = new Map<number, { reached: Reached; used: number }>();
      for (const { flow, target, offset } of effects) {
        const callee = flow === 'call' ? before.functionAt(body.address + target) : undefined;
        if (callee) callees.set(offset, { reached: fromOldCode(callee), used: used(callee.live) });
      }
      if (callees.size === 0) continue;
      const behind = liveBehindCalls(
        effects,
        all,
        ({ offset }) => callees.get(offset)?.used ?? all.callerSaved,
      );
      const caller = { start: body.address, length: body.size, name: fn.symbol.name };
      let wide: number | undefined;
      for (const [offset, callee] of callees) {
        const registers = (behind.get(offset) ?? 0) & all.callerSaved & ~callee.used;
        if (registers === 0) continue;
        wide ??= before.arch.wideVectors(before.bytes(body));
        found.push({ caller, callee: callee.reached, registers, wide: wide & registers });
      }
    }
  }
  return found;
}

/** What one function uses itself, and whom it calls. */
interface Use<K> {
  own: number;
  callees: K[];
  /** What its callers find as it was all the same. */
  kept: number;
}

/** Registers that functions use with all that they call: the least fixed point, for recursion's sake.
 * @param unknown what a function uses that is not among them */
function withCallees<K>(uses: ReadonlyMap<K, Use<K>>, unknown: RegisterSet): Map<K, RegisterSet> {
  const all = new Map<K, number>([...uses].map(([key, { own, kept }]) => [key, own & ~kept]));
  for (let changed = true; changed;) {
    changed = false;
    for (const [key, { own, callees, kept }] of uses) {
      const used = callees.reduce((union, callee) => union | (all.get(callee) ?? unknown), own) & ~kept;
      if (used === all.get(key)) continue;
      all.set(key, used);
      changed = true;
    }
  }
  return all;
}

/** What code does to registers and the stack, up to its calls. */
interface Calls {
  effects: readonly RegisterEffects[];
  alignments: ReadonlyMap<number, StackAlignment>;
}

/** By place and length in the file, which does not change. */
const knownCalls = () => new Map<string, Calls>();

/** Caller-saved registers that live functions certainly use, as their callers in the unit were told. */
class LiveRegisters {
  private readonly decoded = new Map<number, RegisterEffects[] | undefined>();
  private readonly entries: { start: number; end: number; fn: ObjectFunction; live: LiveFunction }[];
  private usedByOriginals: ReadonlyMap<LiveFunction, number> | undefined;
  private readonly always = new Map<LiveFunction, number>();
  readonly arch: Architecture;
  private readonly callerSaved: RegisterSet;

  constructor(private readonly comparison: UnitComparison) {
    this.arch = comparison.live.module.arch;
    this.callerSaved = this.arch.registers.callerSaved;
    this.entries = comparison.functions
      .flatMap(({ fn, live }) => (live ? [{ start: live.entry, end: live.entry + live.size, fn, live }] : []))
      .sort((a, b) => a.start - b.start);
  }

  usedByOriginal(fn: LiveFunction): number {
    // All of them are decoded for it: only when somebody relies on one.
    this.usedByOriginals ??= withCallees(
      new Map(
        this.entries.map(({ live }) => [
          live,
          this.use({ address: live.entry, size: live.size, preserved: 0 }),
        ]),
      ),
      this.callerSaved,
    );
    return this.usedByOriginals.get(fn) ?? this.callerSaved;
  }

  /** What its original and every version of it use. */
  used(fn: LiveFunction): number {
    let used = this.always.get(fn);
    if (used === undefined) {
      used = this.usedByOriginal(fn);
      for (const version of fn.versions) {
        const { own, callees, kept } = this.use(version);
        used &= callees.reduce((union, callee) => union | this.usedByOriginal(callee), own) & ~kept;
      }
      this.always.set(fn, used);
    }
    return used;
  }

  /** The originals, each with the functions as old code reaches them. */
  uses(
    reach: (callee: { fn: ObjectFunction; live: LiveFunction }) => Reached,
  ): [LiveFunction, Use<Reached>][] {
    return this.entries.map(({ live }) => {
      const { own, callees, kept } = this.use({ address: live.entry, size: live.size, preserved: 0 });
      return [live, { own, callees: callees.map((callee) => reach(this.functionAt(callee.entry)!)), kept }];
    });
  }

  bytes({ address, size }: Pick<Body, 'address' | 'size'>): Uint8Array {
    return this.comparison.live.bytes(address, size) ?? new Uint8Array();
  }

  /** Of functions that were patched, of which each save looks at all versions again. */
  callsOf(body: Pick<Body, 'address' | 'size'>): Calls {
    const image = this.comparison.live.imageAt(body.address);
    if (!image) return { effects: [], alignments: new Map() };
    const known = image.elf.derived(knownCalls);
    const key = `${body.address - image.bias}+${body.size}`;
    let calls = known.get(key);
    if (!calls) {
      const code = this.bytes(body);
      calls = { effects: this.arch.registerEffects(code), alignments: this.arch.stackAlignments(code) };
      known.set(key, calls);
    }
    return calls;
  }

  private effectsAt(address: number, size: number): RegisterEffects[] | undefined {
    if (!this.decoded.has(address)) {
      const code = this.comparison.live.bytes(address, size);
      this.decoded.set(address, code && this.arch.registerEffects(code));
    }
    return this.decoded.get(address);
  }

  /** The function of the unit that an address lies in: branches into an unlikely part lead behind its start. */
  functionAt(address: number): { fn: ObjectFunction; live: LiveFunction } | undefined {
    const behind = lowerBound(this.entries.length, (i) => this.entries[i]!.start <= address);
    const entry = this.entries[behind - 1];
    return entry && address < entry.end ? entry : undefined;
  }

  private use({ address, size, preserved }: Body): Use<LiveFunction> {
    const use: Use<LiveFunction> = { own: 0, callees: [], kept: preserved };
    for (const { writes, flow, target } of this.effectsAt(address, size) ?? []) {
      use.own |= writes & this.callerSaved;
      const leaves =
        flow === 'call' || ((flow === 'jump' || flow === 'branch') && (target < 0 || target >= size));
      const callee = leaves ? this.functionAt(address + target)?.live : undefined;
      if (callee) use.callees.push(callee);
      // Of a function of another unit or a library nothing is known to the compiler: it may use them all.
      else if (leaves || flow === 'indirect-call') use.own |= this.callerSaved;
    }
    return use;
  }
}

/** Caller-saved registers that the new functions may use. */
function freshUses(
  comparison: UnitComparison,
  preserved: ReadonlyMap<ObjectFunction, RegisterSet>,
): Map<ObjectFunction, Use<Reached>> {
  const { object, functions, references } = comparison;
  const { callerSaved } = references.arch.registers;
  const uses = new Map<ObjectFunction, Use<Reached>>();
  for (const { fn } of functions) {
    const use: Use<Reached> = { own: 0, callees: [], kept: preserved.get(fn) ?? 0 };
    uses.set(fn, use);
    let leavesByPointer = false;
    for (const { writes, flow } of references.arch.registerEffects(object.code(fn))) {
      use.own |= writes & callerSaved;
      leavesByPointer ||= flow === 'indirect-call' || (flow === 'indirect-jump' && !hasJumpTable(object, fn));
    }
    if (leavesByPointer) use.own |= callerSaved;
    for (const { symbol: index, addend, beyond, meaning } of references.of(fn)) {
      const symbol = object.symbol(index);
      const section = object.sectionOf(symbol);
      if (section !== undefined && (section.flags & abi.SHF_EXECINSTR) !== 0) {
        const target = object.functionAt(section, symbol.value + addend + beyond);
        const runs = target && comparison.of(target).live;
        if (!target) use.own |= callerSaved;
        else if (object.isLeftOut(target)) use.callees.push(runs ?? target);
        else use.callees.push(target);
      } else if (meaning.via === 'plt') use.own |= callerSaved;
    }
  }
  return uses;
}

/** Does a function use data that names places in it (a switch, computed gotos)? Its indirect jumps then stay inside. */
function hasJumpTable(object: ObjectFile, fn: ObjectFunction): boolean {
  return object.relocationsIn(fn.section, fn.offset, fn.offset + fn.size).some(({ symbol }) => {
    const table = object.sectionOf(object.symbol(symbol));
    return (
      table !== undefined &&
      (table.flags & abi.SHF_EXECINSTR) === 0 &&
      object.relocations(table).some((entry) => object.sectionOf(object.symbol(entry.symbol)) === fn.section)
    );
  });
}
