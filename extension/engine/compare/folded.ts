// Functions that are one in the process because they were equal: gcc folds them in a unit (-fipa-icf), gold and lld in the
// whole module (--icf). Callers of the one cannot be told from callers of the other, so the entry must not be
// redirected for one of them alone; nor can that of a function that is too short for a jump. Part of the comparison of
// unit.ts; decides nothing about what is refused.
import { isRelative } from '../arch/architecture';
import * as abi from '../elf/constants';
import type { Relocation } from '../elf/file';
import type { ObjectFile, ObjectFunction } from '../elf/object';
import { hasRoomForJump, type LiveFunction } from '../live/functions';
import type { LiveSymbol } from '../live/live_image';
import { type Correlation, stem } from './correlate';
import type { ObjectReferences } from './object_references';

export class FoldedFunctions {
  private taken: ReadonlySet<ObjectFunction> | undefined;

  constructor(
    private readonly object: ObjectFile,
    private readonly references: ObjectReferences,
    private readonly correlation: Correlation,
  ) {}

  /** Names of other functions that the entry of a function is also the entry of, without those that are to be the
   * same as this one. */
  othersAt(fn: ObjectFunction, live: LiveFunction): string[] {
    const names = new Set(fn.aliases.map((alias) => family(alias.name)));
    return live.image.symbolsAt(live.entry).flatMap((symbol) => {
      if (symbol.type !== abi.STT_FUNC) return [];
      if (!this.correlation.isOwn(symbol)) return [symbol.name];
      if (names.has(family(symbol.name))) return [];
      const other = this.functionNamed(symbol);
      // A local function that is there no more has no callers either; a reduced unit does not say so.
      if (!other) return this.correlation.isGlobal(symbol) || this.object.isReduced ? [symbol.name] : [];
      return other === fn || this.areEqual(fn, other) ? [] : [symbol.name];
    });
  }

  /** May the entry not be redirected for a function, which can be a new one instead? */
  isSeparable(fn: ObjectFunction, live: LiveFunction): boolean {
    if (!this.isOnlyCalled(fn)) return false;
    // A reduced unit does not have the callers of a function that is too short for a jump.
    return (!this.object.isReduced && !hasRoomForJump(live)) || this.othersAt(fn, live).length > 0;
  }

  /** Do only direct calls of this unit lead to a function? Then those that call the new version are known. */
  private isOnlyCalled(fn: ObjectFunction): boolean {
    return (
      fn.aliases.every(({ binding }) => binding === abi.STB_LOCAL) &&
      !(this.taken ??= this.readTaken()).has(fn)
    );
  }

  private functionNamed(symbol: LiveSymbol): ObjectFunction | undefined {
    const { name } = symbol;
    const isLocal = !this.correlation.isGlobal(symbol);
    return this.object.functions.find((fn) =>
      fn.aliases.some(
        (alias) => (alias.binding === abi.STB_LOCAL) === isLocal && family(alias.name) === family(name),
      ),
    );
  }

  /** Are two fresh functions the same, so that one serves for both? */
  private areEqual(one: ObjectFunction, other: ObjectFunction): boolean {
    const text = (fn: ObjectFunction): string =>
      JSON.stringify([
        this.object.code(fn).toString('base64'),
        this.references
          .of(fn)
          .map(({ offset, ...reference }) => [offset - fn.offset, Object.values(reference)]),
      ]);
    return text(one) === text(other);
  }

  /** Functions whose address is taken by code or data. */
  private readTaken(): ReadonlySet<ObjectFunction> {
    const taken = new Set<ObjectFunction>();
    const note = ({ symbol: index, addend }: Relocation, beyond: number): void => {
      const symbol = this.object.symbol(index);
      const section = this.object.sectionOf(symbol);
      const target = section && this.object.functionAt(section, symbol.value + addend + beyond);
      if (target) taken.add(target);
    };
    for (const fn of this.object.functions) {
      const code = this.object.code(fn);
      for (const reference of this.references.of(fn))
        if (
          !isRelative(reference.meaning) ||
          !this.references.arch.isBranchField(code, reference.offset - fn.offset)
        )
          note(reference, reference.beyond);
    }
    for (const section of this.object.elf.sections)
      if (
        section.flags & abi.SHF_ALLOC &&
        !(section.flags & abi.SHF_EXECINSTR) &&
        section.name !== '.eh_frame'
      )
        for (const relocation of this.object.relocations(section)) note(relocation, 0);
    return taken;
  }
}

/** The name without a version, without the compiler's counters, and the same for the constructors (destructors) of a
 * class, of which a unit has those that it uses (Itanium C++ ABI, 5.1.4.3). */
function family(name: string): string {
  return stem(name.replace(/@.*$/, '')).replace(/([CD])[0-5](?=E)/g, '$1');
}
