// Which unit of a module has the definition of a type: compilers leave out of a unit what it does not use. Walks the
// entries outside of functions and classes only.
import type { ElfFile } from '../elf/file';
import { afterLeb, uleb } from '../elf/leb128';
import { HotPatchError } from '../model/errors';
import * as dw from './constants';
import { skipTree } from './abbreviations';
import { Die } from './die';
import type { Dwarf } from './dwarf';
import { reading } from './malformed';
import type { UnitHeader } from './unit_headers';
import { entriesOf, type UnitEntries } from './split';
import type { Unit } from './units';

/**
 * Looks for definitions of types in units, and stops when it has one of each.
 * @param names qualified names, without types of unnamed namespaces
 * @throws HotPatchError `unsupported-object` when the information is malformed.
 */
export function findDefinitions(
  elf: ElfFile,
  units: readonly Unit[],
  names: Iterable<string>,
): Map<string, Unit> {
  const found = new Map<string, Unit>();
  const wanted = new Set(names);
  return reading(elf.path, () => {
    for (const unit of units) {
      if (wanted.size === 0) break;
      const entries = entriesOfPresent(elf, unit);
      if (!entries) continue;
      const { dwarf, header } = entries;
      const root = dwarf.root(header);
      if (!root.hasChildren) continue;
      walk(dwarf, header, root.next, '', (name, isDefined) => {
        if (isDefined && wanted.delete(name)) found.set(name, unit);
      });
    }
    return found;
  });
}

/** How a unit knows a type: it has it defined, or only declared. */
export type Knowledge = 'defined' | 'declared';

/**
 * Which of the units know a type. Those of which the information is not there are left out.
 * @param name qualified, of no unnamed namespace
 * @throws HotPatchError `unsupported-object` when the information is malformed.
 */
export function unitsKnowing(elf: ElfFile, units: readonly Unit[], name: string): Map<Unit, Knowledge> {
  const found = new Map<Unit, Knowledge>();
  return reading(elf.path, () => {
    for (const unit of units) {
      const entries = entriesOfPresent(elf, unit);
      const root = entries?.dwarf.root(entries.header);
      if (entries && root?.hasChildren)
        walk(entries.dwarf, entries.header, root.next, '', (known, isDefined) => {
          if (known === name && found.get(unit) !== 'defined')
            found.set(unit, isDefined ? 'defined' : 'declared');
        });
    }
    return found;
  });
}

/** Undefined when they were split off into a file that is not there. */
function entriesOfPresent(elf: ElfFile, unit: Unit): UnitEntries | undefined {
  try {
    return entriesOf(elf, unit);
  } catch (thrown) {
    if (thrown instanceof HotPatchError && thrown.code === 'layout-unchecked') return undefined;
    throw thrown;
  }
}

/** Visits the entries of one level, and of the namespaces in it. Returns the position behind them. */
function walk(
  dwarf: Dwarf,
  unit: UnitHeader,
  start: number,
  prefix: string,
  visit: (name: string, isDefined: boolean) => void,
): number {
  const abbreviations = dwarf.abbreviations(unit);
  const { bytes, end } = unit;
  const die = new Die(dwarf);
  let at = start;
  while (at < end) {
    const code = uleb(bytes, at);
    const attributes = afterLeb(bytes, at);
    const abbreviation = code === 0 ? undefined : abbreviations[code];
    if (!abbreviation) return attributes;
    switch (abbreviation.tag) {
      case dw.DW_TAG_namespace: {
        die.read(unit, at);
        const name = die.string(dw.DW_AT_name);
        at =
          die.hasChildren && name !== undefined
            ? walk(dwarf, unit, die.next, `${prefix}${name}::`, visit)
            : skipTree(abbreviations, abbreviation, unit, attributes);
        break;
      }
      case dw.DW_TAG_structure_type:
      case dw.DW_TAG_class_type:
      case dw.DW_TAG_union_type:
      case dw.DW_TAG_enumeration_type: {
        die.read(unit, at);
        const name = die.string(dw.DW_AT_name);
        if (name !== undefined) visit(prefix + name, !die.flag(dw.DW_AT_declaration));
        at = skipTree(abbreviations, abbreviation, unit, attributes);
        break;
      }
      default:
        at = skipTree(abbreviations, abbreviation, unit, attributes);
    }
  }
  return at;
}
