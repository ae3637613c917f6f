// Qualified names of types by the address of their declaration, for those that are defined outside of the class or
// namespace they belong to. Read when the first is asked for: few units have one.
import * as dw from '../dwarf/constants';
import { skipTree } from '../dwarf/abbreviations';
import { Die } from '../dwarf/die';
import type { Dwarf } from '../dwarf/dwarf';
import type { UnitHeader } from '../dwarf/unit_headers';
import { afterLeb, uleb } from '../elf/leb128';
import { isAggregate } from './attributes';

export const ANONYMOUS_NAMESPACE = '(anonymous namespace)';

export class DeclaredNames {
  private readonly declaredNames = new Map<number, string>();
  private readonly scanned = new Set<number>();

  constructor(private readonly dwarf: Dwarf) {}

  /** The name of the type that is declared at an address of the unit. */
  at(unit: UnitHeader, address: number): string | undefined {
    if (!this.scanned.has(unit.index)) {
      this.scanned.add(unit.index);
      const root = this.dwarf.root(unit);
      if (root.hasChildren) this.scanDeclarations(unit, root.next, '');
    }
    return this.declaredNames.get(address);
  }

  /** Notes the names of types in namespaces and classes, without registering them. */
  private scanDeclarations(unit: UnitHeader, at: number, prefix: string): number {
    const abbreviations = this.dwarf.abbreviations(unit);
    const die = new Die(this.dwarf);
    while (at < unit.end) {
      const code = uleb(unit.bytes, at);
      const abbreviation = code === 0 ? undefined : abbreviations[code];
      if (!abbreviation) return afterLeb(unit.bytes, at);
      const { tag } = abbreviation;
      const type = isAggregate(tag) || tag === dw.DW_TAG_enumeration_type;
      if (!type && tag !== dw.DW_TAG_namespace) {
        at = skipTree(abbreviations, abbreviation, unit, afterLeb(unit.bytes, at));
        continue;
      }
      die.read(unit, at);
      const name = prefix + (die.string(dw.DW_AT_name) ?? (type ? '' : ANONYMOUS_NAMESPACE));
      if (type) this.declaredNames.set(die.address, name);
      at = die.hasChildren ? this.scanDeclarations(unit, die.next, `${name}::`) : die.next;
    }
    return at;
  }
}
