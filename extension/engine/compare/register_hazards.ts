// The hazard of interprocedural register allocation (gcc -fipa-ra, on from -O1): a caller of the unit may keep values
// in caller-saved registers across a call of a function that was known not to touch them. A caller whose code depends
// on it was compiled anew and is patched too; what remains is one that is running its old code at that moment, and
// would go on to call a function that now uses more registers. Finds those callers, so that the runtime applies the
// patch only while none of them is on a stack. One of the safety checks; reads code, decides nothing else.
import * as abi from '../elf/constants';
import type { ObjectFunction } from '../elf/object';
import type { Guard } from '../link/patch_note';
import { CALLER_SAVED, liveBehindCalls, registerEffects, type RegisterEffects } from '../x86/registers';
import type { UnitComparison } from './unit';

/** Old code of changed functions that must not be running: it keeps values in registers that a callee now uses. */
export function registerHazards(comparison: UnitComparison): Guard[] {
  const changed = comparison.functions.filter(({ live, status }) => live && status === 'changed');
  if (changed.length === 0) return [];
  const before = new LiveRegisters(comparison);
  const after = new FreshRegisters(comparison);
  const byEntry = new Map(
    comparison.functions.flatMap((compared) =>
      compared.live ? [[compared.live.entry, compared] as const] : [],
    ),
  );
  const guards = new Map<number, Guard>();
  for (const { fn, live } of changed) {
    if (!live) continue;
    const bodies = [{ address: live.entry, size: live.size }, ...(live.current ? [live.current] : [])];
    for (const { address, size } of bodies) {
      const effects = before.effectsAt(address, size);
      if (!effects) continue;
      const calls = effects.filter(({ flow, target }) => flow === 'call' && byEntry.has(address + target));
      if (calls.length === 0) continue;
      const behind = liveBehindCalls(effects, ({ flow, target }) =>
        flow === 'call' ? before.callee(address + target) : CALLER_SAVED,
      );
      const relies = calls.some(({ offset, target }) => {
        const callee = byEntry.get(address + target)!;
        const grown = after.clobbered(callee.fn) & ~before.clobbered(callee.live!.entry, callee.live!.size);
        return (grown & (behind.get(offset) ?? 0) & CALLER_SAVED) !== 0;
      });
      if (relies) guards.set(address, { start: address, length: size, name: fn.symbol.name });
    }
  }
  return [...guards.values()];
}

/** Caller-saved registers that live functions certainly use, as their callers in the unit were told. */
class LiveRegisters {
  private readonly known = new Map<number, number>();
  private readonly decoded = new Map<number, RegisterEffects[] | undefined>();

  constructor(private readonly comparison: UnitComparison) {}

  effectsAt(address: number, size: number): RegisterEffects[] | undefined {
    if (!this.decoded.has(address)) {
      const code = this.comparison.live.bytes(address, size);
      this.decoded.set(address, code && registerEffects(code));
    }
    return this.decoded.get(address);
  }

  clobbered(address: number, size: number): number {
    const known = this.known.get(address);
    if (known !== undefined) return known;
    this.known.set(address, 0);
    let used = 0;
    for (const { writes, flow, target } of this.effectsAt(address, size) ?? []) {
      used |= writes;
      const outside = target < 0 || target >= size;
      if (flow === 'indirect-call') used |= CALLER_SAVED;
      if (flow === 'call' || (flow === 'jump' && outside)) used |= this.callee(address + target);
    }
    this.known.set(address, used & CALLER_SAVED);
    return used & CALLER_SAVED;
  }

  /** Of a function of another unit or a library nothing is known to the compiler: it may use them all. */
  callee(address: number): number {
    const own = this.comparison.functions.find(({ live }) => live?.entry === address);
    return own?.live ? this.clobbered(own.live.entry, own.live.size) : CALLER_SAVED;
  }
}

/** Caller-saved registers that the new functions may use. */
class FreshRegisters {
  private readonly known = new Map<ObjectFunction, number>();

  constructor(private readonly comparison: UnitComparison) {}

  clobbered(fn: ObjectFunction): number {
    const known = this.known.get(fn);
    if (known !== undefined) return known;
    this.known.set(fn, 0);
    const { object } = this.comparison;
    let used = 0;
    for (const { writes, flow } of registerEffects(object.code(fn))) {
      used |= writes;
      if (flow === 'indirect-call') used |= CALLER_SAVED;
    }
    for (const relocation of object.relocationsIn(fn.section, fn.offset, fn.offset + fn.size)) {
      const symbol = object.symbol(relocation.symbol);
      const section = object.sectionOf(symbol);
      const isCode = section !== undefined && (section.flags & abi.SHF_EXECINSTR) !== 0;
      if (isCode) {
        const target =
          object.functionAt(section, symbol.value + relocation.addend + 4) ??
          object.functionAt(section, symbol.value);
        used |= target ? this.clobbered(target) : CALLER_SAVED;
      } else if (relocation.type === abi.R_X86_64_PLT32) used |= CALLER_SAVED;
    }
    this.known.set(fn, used & CALLER_SAVED);
    return used & CALLER_SAVED;
  }
}
