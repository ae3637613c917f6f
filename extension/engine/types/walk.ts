// One walk over the debug information of a unit that registers what has a name: types with their members, variables,
// the signatures of functions. Works nothing out: registry.ts puts it together, keys.ts compares.
import * as dw from '../dwarf/constants';
import { skipAttributes, skipTree } from '../dwarf/abbreviations';
import { Die } from '../dwarf/die';
import type { Dwarf } from '../dwarf/dwarf';
import type { UnitHeader } from '../dwarf/unit_headers';
import { afterLeb, uleb } from '../elf/leb128';
import { HotPatchError } from '../model/errors';
import {
  constantOf,
  isAddress,
  isSupplementary,
  linkageName,
  memberLocation,
  reference,
  slotOf,
  SUPPLEMENTARY,
} from './attributes';
import { ANONYMOUS_NAMESPACE, DeclaredNames } from './declared_names';
import type { FunctionEntry, Scope, TypeEntry, VariableEntry } from './entries';
import type { Registry } from './registry';
import { noSpecialMembers, readSpecialMember } from './special_members';
import type { Sizes } from './sizes';

const GLOBAL: Scope = { prefix: '', kind: 'namespace', local: false };
/** Names that compilers give to closures and other types without a name. */
const UNNAMED = /^(?:<|\{|\._anon|__lambda|\$_)/;

/** A closure or a function-local type among the template arguments makes the instance local, too. */
function mentionsLocal(name: string): boolean {
  if (!name.includes('<')) return false;
  return /<lambda|\{lambda|\(lambda|\._anon|__lambda|'lambda|\{unnamed|\)::/.test(
    name.replaceAll(`${ANONYMOUS_NAMESPACE}::`, '').replaceAll('{anonymous}::', ''),
  );
}

export class Walk {
  private readonly declaredNames: DeclaredNames;
  private readonly walked = new Set<number>();
  private readonly die: Die;
  private readonly origin: Die;

  constructor(
    private readonly dwarf: Dwarf,
    private readonly registry: Registry,
    private readonly sizes: Sizes,
  ) {
    this.declaredNames = new DeclaredNames(dwarf);
    this.die = new Die(dwarf);
    this.origin = new Die(dwarf);
  }

  /**
   * Registers what a unit has, once.
   * @throws HotPatchError `unsupported-object` when parts of the information are in another file.
   */
  walkUnit(unit: UnitHeader, scope: Scope = GLOBAL): void {
    if (this.walked.has(unit.index)) return;
    this.walked.add(unit.index);
    for (const abbreviation of this.dwarf.abbreviations(unit)) {
      if (!this.dwarf.supplement && abbreviation?.forms.some(isSupplementary))
        throw new HotPatchError('unsupported-object', SUPPLEMENTARY);
    }
    const root = this.dwarf.root(unit);
    if (root.hasChildren) this.walk(unit, root.next, scope);
  }

  /** Type units hold types of any unit; only those that are reachable from the units at hand are theirs. */
  walkTypeUnits(units: readonly UnitHeader[]): void {
    const pending = [...units];
    const seen = new Set<bigint>();
    for (let unit = pending.pop(); unit; unit = pending.pop()) {
      this.walkUnit(unit);
      const abbreviations = this.dwarf.abbreviations(unit);
      const { bytes } = unit;
      let at = unit.firstDie;
      while (at < unit.end) {
        const code = uleb(bytes, at);
        const abbreviation = code === 0 ? undefined : abbreviations[code];
        if (!abbreviation) at = afterLeb(bytes, at);
        else if (!abbreviation.hasSignature) at = skipAttributes(abbreviation, unit, afterLeb(bytes, at));
        else {
          this.die.read(unit, at);
          for (const signature of this.die.signatures()) {
            if (seen.has(signature)) continue;
            seen.add(signature);
            const target = this.dwarf.typeUnit(signature);
            if (target) pending.push(target);
          }
          at = this.die.next;
        }
      }
    }
  }

  /** Visits the entries of one level up to the null entry that ends it, and returns the position behind that. */
  private walk(unit: UnitHeader, at: number, scope: Scope): number {
    const abbreviations = this.dwarf.abbreviations(unit);
    const { bytes, end } = unit;
    const { die } = this;
    while (at < end) {
      const code = uleb(bytes, at);
      const attributes = afterLeb(bytes, at);
      const abbreviation = code === 0 ? undefined : abbreviations[code];
      if (!abbreviation) return attributes;
      const { tag } = abbreviation;
      switch (tag) {
        case dw.DW_TAG_structure_type:
        case dw.DW_TAG_class_type:
        case dw.DW_TAG_union_type:
        case dw.DW_TAG_enumeration_type: {
          die.read(unit, at);
          const entry = this.readType(scope);
          const { next, hasChildren } = die;
          this.registry.register(entry, scope);
          if (!hasChildren) at = next;
          else if (tag === dw.DW_TAG_enumeration_type) at = this.readEnumerators(unit, next, entry, scope);
          else
            at = this.walk(unit, next, {
              prefix: entry.name === undefined ? scope.prefix : `${entry.name}::`,
              kind: 'type',
              local: scope.local || entry.name === undefined || entry.local,
              owner: entry,
              functionName: scope.functionName,
            });
          break;
        }
        case dw.DW_TAG_member:
          if (scope.owner) {
            die.read(unit, at);
            this.readMember(scope.owner, scope);
            at = die.next;
          }
          if (!scope.owner || abbreviation.hasChildren)
            at = skipTree(abbreviations, abbreviation, unit, attributes);
          break;
        case dw.DW_TAG_inheritance:
          if (scope.owner) {
            die.read(unit, at);
            const type = reference(die, dw.DW_AT_type);
            const expression = die.block(dw.DW_AT_data_member_location);
            const location = expression
              ? `virtual ${expression.toString('hex')}`
              : String(die.number(dw.DW_AT_data_member_location) ?? 0);
            if (type !== undefined) scope.owner.bases.push({ type, location });
          }
          at = skipTree(abbreviations, abbreviation, unit, attributes);
          break;
        case dw.DW_TAG_typedef:
          if (!scope.local) {
            die.read(unit, at);
            this.readTypedef(scope);
          }
          at = skipTree(abbreviations, abbreviation, unit, attributes);
          break;
        case dw.DW_TAG_namespace: {
          die.read(unit, at);
          const name = die.string(dw.DW_AT_name) ?? ANONYMOUS_NAMESPACE;
          at = die.hasChildren
            ? this.walk(unit, die.next, { ...scope, kind: 'namespace', prefix: `${scope.prefix}${name}::` })
            : die.next;
          break;
        }
        case dw.DW_TAG_variable:
          // Inside functions, variables that refer to an abstract instance say nothing new.
          if (scope.kind !== 'function' || !abbreviation.attributes.includes(dw.DW_AT_abstract_origin)) {
            die.read(unit, at);
            this.readVariable(scope);
          }
          at = skipTree(abbreviations, abbreviation, unit, attributes);
          break;
        case dw.DW_TAG_formal_parameter:
          if (scope.callee) {
            die.read(unit, at);
            const type = reference(die, dw.DW_AT_type);
            if (type !== undefined) scope.callee.parameters.push(type);
            if (die.block(dw.DW_AT_location)?.[0] === dw.DW_OP_fbreg) scope.callee.homes++;
          }
          at = skipTree(abbreviations, abbreviation, unit, attributes);
          break;
        case dw.DW_TAG_unspecified_parameters:
          if (scope.callee) scope.callee.variadic = true;
          at = skipTree(abbreviations, abbreviation, unit, attributes);
          break;
        case dw.DW_TAG_lexical_block:
          at = abbreviation.hasChildren
            ? this.walk(unit, skipAttributes(abbreviation, unit, attributes), { ...scope, callee: undefined })
            : skipTree(abbreviations, abbreviation, unit, attributes);
          break;
        case dw.DW_TAG_subprogram: {
          die.read(unit, at);
          if (scope.owner) readSpecialMember(this.dwarf, die, scope.owner);
          if (die.flag(dw.DW_AT_declaration)) {
            const result = scope.owner ? undefined : die.reference(dw.DW_AT_type);
            if (result !== undefined) this.registry.locals.add(result);
            this.registry.declaredFunctions.push(die.address);
            if (scope.owner && die.flag(dw.DW_AT_virtuality)) this.readVirtual(scope.owner);
            at = skipTree(abbreviations, abbreviation, unit, attributes);
            break;
          }
          // Definitions in a class body (closures, local classes) declare a virtual function, too.
          if (scope.owner && die.flag(dw.DW_AT_virtuality)) this.readVirtual(scope.owner);
          const { next, hasChildren } = die;
          const { callee, name } = this.readFunction(scope);
          at = hasChildren
            ? this.walk(unit, next, {
                prefix: `${name}::`,
                kind: 'function',
                local: true,
                callee,
                functionName: name,
              })
            : next;
          break;
        }
        case dw.DW_TAG_imported_unit: {
          die.read(unit, at);
          const target = die.reference(dw.DW_AT_import);
          at = skipTree(abbreviations, abbreviation, unit, attributes);
          if (target !== undefined) this.walkUnit(this.dwarf.unitAt(target), scope);
          break;
        }
        default:
          at = skipTree(abbreviations, abbreviation, unit, attributes);
      }
    }
    return at;
  }

  /** A reference to another entry; one that leads out of the file makes the unit incomparable. */
  private readType(scope: Scope): TypeEntry {
    const { die } = this;
    const own = die.string(dw.DW_AT_name);
    const named = own !== undefined && !UNNAMED.test(own);
    // A class that is defined outside the class or namespace it belongs to was declared there (2.13.2).
    const specification = die.reference(dw.DW_AT_specification);
    const declared = specification === undefined ? undefined : this.declarationAt(die.unit, specification);
    const { tag } = die;
    const elsewhere = die.reference(dw.DW_AT_signature);
    if (elsewhere !== undefined) this.registry.stubs.set(die.address, elsewhere);
    return {
      address: die.address,
      kind: tag === dw.DW_TAG_union_type ? 'union' : tag === dw.DW_TAG_enumeration_type ? 'enum' : 'struct',
      keyword:
        tag === dw.DW_TAG_union_type
          ? 'union'
          : tag === dw.DW_TAG_enumeration_type
            ? 'enum'
            : tag === dw.DW_TAG_class_type
              ? 'class'
              : 'struct',
      name: declared ? declared.name : named ? scope.prefix + own : undefined,
      byTypedef: false,
      local: declared ? declared.local : scope.local || (named && mentionsLocal(own)),
      declaration: die.flag(dw.DW_AT_declaration),
      size: die.number(dw.DW_AT_byte_size) ?? 0,
      alignment: die.number(dw.DW_AT_alignment) ?? 0,
      unit: die.unit,
      file: die.number(dw.DW_AT_decl_file) ?? 0,
      line: die.number(dw.DW_AT_decl_line) ?? 0,
      underlying: tag === dw.DW_TAG_enumeration_type ? reference(die, dw.DW_AT_type) : undefined,
      encoding: die.number(dw.DW_AT_encoding) ?? 0,
      rawMembers: [],
      bases: [],
      special: noSpecialMembers(die),
      virtuals: [],
      enumerators: [],
      twin: undefined,
      flat: undefined,
    };
  }

  /** Name and locality of a type declared at an address, which may be further on in the unit. */
  private declarationAt(
    unit: UnitHeader,
    address: number,
  ): { name: string | undefined; local: boolean } | undefined {
    const entry = this.registry.entries.get(address);
    if (entry) return entry;
    const name = this.declaredNames.at(unit, address);
    return name === undefined ? undefined : { name, local: false };
  }

  private readEnumerators(unit: UnitHeader, at: number, entry: TypeEntry, scope: Scope): number {
    const { die } = this;
    const abbreviations = this.dwarf.abbreviations(unit);
    while (at < unit.end) {
      die.read(unit, at);
      if (die.tag === 0) return die.next;
      if (die.tag === dw.DW_TAG_enumerator) {
        const name = die.string(dw.DW_AT_name) ?? '';
        const value = constantOf(die);
        const line = die.number(dw.DW_AT_decl_line) ?? entry.line;
        entry.enumerators.push({ name, value, line });
        if (entry.name === undefined && !scope.local)
          this.registry.looseEnumerators.set(scope.prefix + name, { value, entry, line });
      }
      const abbreviation = die.abbreviation;
      at =
        die.hasChildren && abbreviation
          ? skipTree(abbreviations, abbreviation, unit, afterLeb(unit.bytes, at))
          : die.next;
    }
    return at;
  }

  private readMember(owner: TypeEntry, scope: Scope): void {
    const { die } = this;
    // Static data members are declarations inside their class (5.7.7); before DWARF 5 as DW_TAG_member.
    if (die.flag(dw.DW_AT_declaration) || die.flag(dw.DW_AT_external)) {
      this.readVariable(scope);
      return;
    }
    const type = reference(die, dw.DW_AT_type);
    if (type === undefined) return;
    const bits = die.number(dw.DW_AT_bit_size) ?? 0;
    let offset = memberLocation(die) * 8;
    const dataBit = die.number(dw.DW_AT_data_bit_offset);
    const bigEndianBit = die.number(dw.DW_AT_bit_offset);
    if (dataBit !== undefined) offset = dataBit;
    // DWARF 2 and 3 count from the most significant bit of the storage unit (DWARF 3, 5.6.6).
    else if (bigEndianBit !== undefined) {
      const storage = die.number(dw.DW_AT_byte_size) ?? this.sizes.sizeOf(type) ?? 4;
      offset += storage * 8 - bigEndianBit - bits;
    }
    owner.rawMembers.push({
      name: die.string(dw.DW_AT_name),
      type,
      offset,
      bits,
      alignment: die.number(dw.DW_AT_alignment) ?? 0,
      line: die.number(dw.DW_AT_decl_line) ?? owner.line,
    });
  }

  private readVirtual(owner: TypeEntry): void {
    const { die } = this;
    // Implicit members (an implicit destructor) are in the debug information only where a unit uses them.
    if (die.flag(dw.DW_AT_artificial)) return;
    const name = die.string(dw.DW_AT_name) ?? '';
    const symbol = linkageName(die) ?? name;
    const slot = slotOf(die);
    if (slot !== undefined)
      owner.virtuals.push({
        symbol,
        name,
        slot,
        returns: die.reference(dw.DW_AT_type),
        line: die.number(dw.DW_AT_decl_line) ?? owner.line,
      });
  }

  private readTypedef(scope: Scope): void {
    const { die } = this;
    const name = die.string(dw.DW_AT_name);
    const type = reference(die, dw.DW_AT_type);
    if (name === undefined || type === undefined || mentionsLocal(name)) return;
    const qualified = scope.prefix + name;
    const place = {
      unit: die.unit,
      file: die.number(dw.DW_AT_decl_file) ?? 0,
      line: die.number(dw.DW_AT_decl_line) ?? 0,
    };
    const twin = this.registry.typedefs.get(qualified);
    this.registry.typedefs.set(qualified, { type, twin, ...place });
    this.registry.namings.push({ type, name: qualified, scope, ...place });
  }

  private readVariable(scope: Scope): void {
    const { die } = this;
    // `__func__` and its like are constants that follow the function.
    if (die.flag(dw.DW_AT_artificial)) return;
    const { unit } = die;
    const location = die.block(dw.DW_AT_location);
    const defined = location !== undefined && isAddress(location);
    const declaration = die.flag(dw.DW_AT_declaration);
    let symbol = linkageName(die);
    let name = die.string(dw.DW_AT_name);
    let type = die.reference(dw.DW_AT_type);
    let external = die.flag(dw.DW_AT_external);
    let file = die.number(dw.DW_AT_decl_file);
    let line = die.number(dw.DW_AT_decl_line);
    // The definition of a static member or of a variable of a namespace refers to its declaration (2.13.2).
    const specification = die.reference(dw.DW_AT_specification);
    if (specification !== undefined) {
      const origin = this.dwarf.die(specification, this.origin);
      symbol ??= linkageName(origin);
      name ??= origin.string(dw.DW_AT_name);
      type ??= origin.reference(dw.DW_AT_type);
      external ||= origin.flag(dw.DW_AT_external);
      if (origin.unit === unit) file ??= origin.number(dw.DW_AT_decl_file);
      line ??= origin.number(dw.DW_AT_decl_line);
    }
    const inFunction = scope.kind === 'function';
    // A variable without an address that outlives the call is in a frame; and a constant is nowhere.
    if (type !== undefined && !defined && !external) this.registry.locals.add(type);
    if (name === undefined || type === undefined || (!defined && !external)) return;
    const qualified = (inFunction && declaration ? '' : scope.prefix) + name;
    const entry: VariableEntry = {
      name: qualified,
      symbol,
      type,
      defined,
      external,
      unit,
      file: file ?? 0,
      line: line ?? 0,
    };
    if (specification !== undefined) this.registry.outside.push({ entry, declaration: specification });
    else if (declaration) this.registry.declared.set(die.address, entry);
    else this.registry.addVariable(entry, inFunction);
  }

  private readFunction(scope: Scope): { callee: FunctionEntry | undefined; name: string } {
    const { die } = this;
    const { address } = die;
    const low = die.addressOf(dw.DW_AT_low_pc);
    const hasCode = die.has(dw.DW_AT_low_pc) || die.has(dw.DW_AT_ranges);
    const abstract = die.reference(dw.DW_AT_abstract_origin);
    let symbol = linkageName(die);
    let name = die.string(dw.DW_AT_name);
    let returns = die.reference(dw.DW_AT_type);
    const convention = die.number(dw.DW_AT_calling_convention);
    let reference = abstract ?? die.reference(dw.DW_AT_specification);
    for (let depth = 0; reference !== undefined && depth < 4; depth++) {
      const origin: Die = this.dwarf.die(reference, this.origin);
      symbol ??= linkageName(origin);
      name ??= origin.string(dw.DW_AT_name);
      returns ??= origin.reference(dw.DW_AT_type);
      reference = origin.reference(dw.DW_AT_abstract_origin) ?? origin.reference(dw.DW_AT_specification);
    }
    const functionName = symbol ?? scope.prefix + (name ?? '');
    let callee: FunctionEntry | undefined;
    // A copy of an abstract instance has its types there.
    if (abstract === undefined) {
      callee = { returns, parameters: [], variadic: false, homes: 0, convention };
      this.registry.functions.set(address, callee);
    }
    if (hasCode)
      this.registry.code.push({
        types: abstract ?? address,
        symbol,
        name: name ?? functionName,
        address: low?.address,
        section: low?.section,
      });
    return { callee, name: functionName };
  }
}
