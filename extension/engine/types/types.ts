// The types, variables and function signatures of one compile unit as data that two compiles can be compared by:
// layout.ts does that. One walk registers what is named; the layout of a type, and the key by which two types are the
// same, are worked out only for what is asked. Must not judge which difference is a hazard.
import type { Architecture } from '../arch/architecture';
import { architectureOf } from '../arch/choose';
import * as dw from '../dwarf/constants';
import { Die } from '../dwarf/die';
import type { Dwarf } from '../dwarf/dwarf';
import type { UnitHeader } from '../dwarf/unit_headers';
import type { ElfFile } from '../elf/file';
import { isAggregate, isTransparent, reference } from './attributes';
import type { TypeEntry } from './entries';
import { Keys } from './keys';
import type { TypeLookup } from './lookup';
import { localPassing } from './passing';
import { Registry } from './registry';
import { Signatures } from './signatures';
import { Sizes } from './sizes';
import { Walk } from './walk';

/** Everything comparable in one compile unit and the type units it uses. */
export class UnitTypes implements TypeLookup {
  readonly registry = new Registry();
  readonly sizes: Sizes;
  readonly keys: Keys;
  readonly signatures: Signatures;
  /** What the code was compiled for. */
  readonly arch: Architecture;
  private readonly walk: Walk;
  private readonly origin: Die;

  /**
   * Walks the units given and the type units they refer to.
   * @throws HotPatchError `unsupported-object` when parts of the information are in another file.
   */
  constructor(
    readonly dwarf: Dwarf,
    units: readonly UnitHeader[],
    elf: ElfFile,
  ) {
    this.arch = architectureOf(elf);
    this.origin = new Die(dwarf);
    this.sizes = new Sizes(dwarf);
    this.walk = new Walk(dwarf, this.registry, this.sizes);
    this.keys = new Keys(dwarf, this.sizes, (address) => this.entryAt(address));
    this.signatures = new Signatures(this.registry, this.keys, elf, (type) => localPassing(this, type));
    for (const unit of units) this.walk.walkUnit(unit);
    if (dwarf.units.some(({ signature }) => signature !== undefined)) this.walk.walkTypeUnits(units);
    this.registry.join();
  }

  /** The class, structure, union or enumeration that objects of a type consist of, through typedef, const and array. */
  valueType(type: number): TypeEntry | undefined {
    for (let depth = 0; depth < 64; depth++) {
      const die = this.dwarf.die(type, this.origin);
      if (isAggregate(die.tag) || die.tag === dw.DW_TAG_enumeration_type) return this.entryAt(type);
      if (!isTransparent(die.tag) && die.tag !== dw.DW_TAG_array_type) return undefined;
      const next = reference(die, dw.DW_AT_type);
      if (next === undefined) return undefined;
      type = next;
    }
    return undefined;
  }

  /** The class, structure, union or enumeration at an address, reading its unit if that was not done. */
  entryAt(address: number): TypeEntry | undefined {
    const { entries, stubs } = this.registry;
    if (!entries.has(address)) {
      this.walk.walkUnit(this.dwarf.unitAt(address));
      this.registry.join();
    }
    const definition = stubs.get(address);
    return definition === undefined ? entries.get(address) : this.entryAt(definition);
  }
}
