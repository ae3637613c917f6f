// Which unit of a module has the definition of a type: compilers leave out of a unit what it does not use. Walks the
// entries outside of functions and classes only.
import type { ElfFile } from '../elf/file';
import { afterLeb, uleb } from '../elf/leb128';
import { HotPatchError } from '../model/errors';
import * as dw from './constants';
import { skipAttributes, skipTree } from './abbreviations';
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
      if (wanted.size > 0)
        for (const name of namesInTypeUnits(elf, entries)) if (wanted.delete(name)) found.set(name, unit);
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
      if (!entries || !root?.hasChildren) continue;
      walk(entries.dwarf, entries.header, root.next, '', (known, isDefined) => {
        if (known === name && found.get(unit) !== 'defined')
          found.set(unit, isDefined ? 'defined' : 'declared');
      });
      if (namesInTypeUnits(elf, entries).has(name)) found.set(unit, 'defined');
    }
    return found;
  });
}

/** Names of the types that a unit has in type units: those that it refers to, and those that these refer to. */
function namesInTypeUnits(elf: ElfFile, { dwarf, header: unit }: UnitEntries): ReadonlySet<string> {
  const names = new Set<string>();
  const seen = new Set<UnitHeader>();
  const pending = dwarf.units.some(({ signature }) => signature !== undefined) ? [unit] : [];
  for (let one = pending.pop(); one; one = pending.pop()) {
    const { types, names: own } = typeUnitFacts(elf, dwarf, one);
    for (const name of own) names.add(name);
    for (const other of types) {
      if (seen.has(other)) continue;
      seen.add(other);
      pending.push(other);
    }
  }
  return names;
}

interface TypeUnitFacts {
  /** Type units that the unit refers to. */
  types: readonly UnitHeader[];
  /** What it defines, of a type unit. */
  names: readonly string[];
}

/** Read once: many units refer to the same type units. */
const newFacts = (): Map<UnitHeader, TypeUnitFacts> => new Map();

function typeUnitFacts(elf: ElfFile, dwarf: Dwarf, unit: UnitHeader): TypeUnitFacts {
  const facts = elf.derived(newFacts);
  const known = facts.get(unit);
  if (known) return known;
  const names: string[] = [];
  const root = dwarf.root(unit);
  if (unit.signature !== undefined && root.hasChildren)
    walk(dwarf, unit, root.next, '', (name, isDefined) => {
      if (isDefined) names.push(name);
    });
  const types = new Set<UnitHeader>();
  const abbreviations = dwarf.abbreviations(unit);
  const die = new Die(dwarf);
  for (let at = unit.firstDie; at < unit.end;) {
    const code = uleb(unit.bytes, at);
    const attributes = afterLeb(unit.bytes, at);
    const abbreviation = code === 0 ? undefined : abbreviations[code];
    if (!abbreviation) at = attributes;
    else if (!abbreviation.hasSignature) at = skipAttributes(abbreviation, unit, attributes);
    else {
      die.read(unit, at);
      for (const signature of die.signatures()) {
        const type = dwarf.typeUnit(signature);
        if (type) types.add(type);
      }
      at = die.next;
    }
  }
  const found = { types: [...types], names };
  facts.set(unit, found);
  return found;
}

/**
 * Those of the units that give memory to a variable of a name, of any namespace or class.
 * @param name without what qualifies it
 * @throws HotPatchError `unsupported-object` when the information is malformed.
 */
export function unitsDefiningVariable(elf: ElfFile, units: readonly Unit[], name: string): Unit[] {
  return reading(elf.path, () =>
    units.filter((unit) => {
      const entries = entriesOfPresent(elf, unit);
      const root = entries?.dwarf.root(entries.header);
      return entries && root?.hasChildren && definesVariable(entries.dwarf, entries.header, root.next, name);
    }),
  );
}

/** Looks at the entries of one level, and of the namespaces in it. */
function definesVariable(dwarf: Dwarf, unit: UnitHeader, start: number, name: string): boolean {
  const abbreviations = dwarf.abbreviations(unit);
  const { bytes, end } = unit;
  const die = new Die(dwarf);
  for (let at = start, depth = 0; at < end;) {
    const code = uleb(bytes, at);
    const attributes = afterLeb(bytes, at);
    const abbreviation = code === 0 ? undefined : abbreviations[code];
    if (!abbreviation) {
      if (depth-- === 0) return false;
      at = attributes;
    } else if (abbreviation.tag === dw.DW_TAG_namespace) {
      die.read(unit, at);
      if (die.hasChildren) depth++;
      at = die.next;
    } else {
      if (abbreviation.tag === dw.DW_TAG_variable && abbreviation.attributes.includes(dw.DW_AT_location)) {
        die.read(unit, at);
        const declaration = die.reference(dw.DW_AT_specification);
        const named = declaration === undefined ? die : dwarf.die(declaration);
        if (named.string(dw.DW_AT_name) === name) return true;
      }
      at = skipTree(abbreviations, abbreviation, unit, attributes);
    }
  }
  return false;
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
  declared = new Map<number, string>(),
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
            ? walk(dwarf, unit, die.next, `${prefix}${name}::`, visit, declared)
            : skipTree(abbreviations, abbreviation, unit, attributes);
        break;
      }
      case dw.DW_TAG_structure_type:
      case dw.DW_TAG_class_type:
      case dw.DW_TAG_union_type:
      case dw.DW_TAG_enumeration_type: {
        die.read(unit, at);
        const name = die.string(dw.DW_AT_name);
        // One that is defined outside of its namespace was declared there, and a stub stands for one in a type unit.
        const declaration = die.reference(dw.DW_AT_specification);
        const qualified = declared.get(declaration ?? -1) ?? (name === undefined ? undefined : prefix + name);
        const isDefined = !die.flag(dw.DW_AT_declaration) || die.reference(dw.DW_AT_signature) !== undefined;
        if (qualified !== undefined) declared.set(die.address, qualified);
        if (qualified !== undefined) visit(qualified, isDefined);
        at = skipTree(abbreviations, abbreviation, unit, attributes);
        break;
      }
      default:
        at = skipTree(abbreviations, abbreviation, unit, attributes);
    }
  }
  return at;
}
