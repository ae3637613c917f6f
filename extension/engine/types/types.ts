// The types, variables and function signatures of one compile unit as data that two compiles can be compared by:
// compare/layout.ts does that. One walk registers what is named; the layout of a type, and the key by which two
// types are the same, are worked out only for what is asked. Must not judge which difference is a hazard.
import * as dw from '../dwarf/constants';
import { Die, type Dwarf, number64, skipAttributes, skipTree, type UnitHeader } from '../dwarf/dies';
import { afterLeb, uleb } from '../elf/leb128';
import type { ElfFile } from '../elf/file';
import * as elfConstants from '../elf/constants';
import { HotPatchError } from '../model/errors';

/** A data member as its DIE has it; `type` is an address in the debug information. */
interface RawMember {
  name: string | undefined;
  type: number;
  /** In bits from the start of the type that declares it. */
  offset: number;
  /** Width of a bit-field, 0 for an ordinary member. */
  bits: number;
  line: number;
}

interface RawBase {
  type: number;
  /** Offset in bytes, or the expression that finds a virtual base. */
  location: string;
}

/** A class, structure, union or enumeration. */
export interface TypeEntry {
  address: number;
  kind: 'struct' | 'union' | 'enum';
  /** As a person would call it: `struct`, `class`, `union` or `enum`. */
  keyword: string;
  /** Qualified name; undefined for unnamed types that no typedef names. */
  name: string | undefined;
  /** Local to a function body, or a closure, or made of such types: compared only where state has that type. */
  local: boolean;
  declaration: boolean;
  size: number;
  /** DW_AT_alignment (alignas), 0 when the type's own. */
  alignment: number;
  unit: UnitHeader;
  file: number;
  line: number;
  /** Underlying type of an enumeration, or undefined. */
  underlying: number | undefined;
  encoding: number;
  rawMembers: RawMember[];
  bases: RawBase[];
  /** Virtual functions that the class declares, with their slot in the vtable. */
  virtuals: { symbol: string; name: string; slot: number; line: number }[];
  enumerators: { name: string; value: string; line: number }[];
  /** Another definition of the same name in the same unit (allowed only when it is the same type). */
  twin: TypeEntry | undefined;
  flat: Member[] | undefined;
}

/** A data member with those of unnamed members in its place, so that `u.x` of `struct { union { int x; }; }` is `x`. */
export interface Member {
  name: string;
  /** In bits from the start of the outermost type. */
  offset: number;
  bits: number;
  /** Equal in two units exactly when the types are the same to the code that accesses the member. */
  key: string;
  type: number;
  line: number;
}

export interface TypedefEntry {
  type: number;
  unit: UnitHeader;
  file: number;
  line: number;
  /** Another typedef of that name: instances of one alias template do not say their arguments. */
  twin: TypedefEntry | undefined;
}

/** A variable that exists, or is declared to exist, in memory. */
export interface VariableEntry {
  /** For people: qualified, function-local ones with their function. */
  name: string;
  symbol: string | undefined;
  type: number;
  /** The unit gives it memory; otherwise it is only declared here. */
  defined: boolean;
  /** Visible to other units. */
  external: boolean;
  unit: UnitHeader;
  file: number;
  line: number;
}

/** Addresses of the types that a function takes and returns. */
export interface FunctionEntry {
  /** Undefined: void. */
  returns: number | undefined;
  parameters: number[];
  variadic: boolean;
}

/** A function with code: where its types are, and by what name the linker knows it. */
interface CodeEntry {
  /** Address of the DIE that has the types: the function itself or its abstract instance. */
  types: number;
  symbol: string | undefined;
  name: string;
  address: number | undefined;
  section: number | undefined;
}

interface Scope {
  /** What names inside are qualified with, `::` included. */
  prefix: string;
  kind: 'namespace' | 'type' | 'function';
  /** Inside a function body, or inside a type without a name. */
  local: boolean;
  /** The type whose members these are. */
  owner?: TypeEntry;
  /** The function whose parameters these are, and its name. */
  callee?: FunctionEntry;
  functionName?: string;
}

const ANONYMOUS_NAMESPACE = '(anonymous namespace)';
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

/** Everything comparable in one compile unit and the type units it uses. */
export class UnitTypes {
  /** Definitions by qualified name; without those that are local. */
  readonly types = new Map<string, TypeEntry>();
  /** Enumerators of unnamed enumerations outside functions, by qualified name. */
  readonly looseEnumerators = new Map<string, { value: string; entry: TypeEntry; line: number }>();
  readonly typedefs = new Map<string, TypedefEntry>();
  readonly variables = new Map<string, VariableEntry[]>();
  private readonly entries = new Map<number, TypeEntry>();
  /** Stubs that stand for a type in a type unit (DW_AT_signature), and where that is. */
  private readonly stubs = new Map<number, number>();
  private readonly functions = new Map<number, FunctionEntry>();
  private readonly code: CodeEntry[] = [];
  /** Left for the end of a unit's walk, when all that they refer to is registered. */
  private readonly namings: { type: number; name: string; scope: Scope }[] = [];
  private readonly declared = new Map<number, VariableEntry>();
  private readonly declaredNames = new Map<number, string>();
  private readonly scanned = new Set<number>();
  private readonly outside: { entry: VariableEntry; declaration: number }[] = [];
  private readonly walked = new Set<number>();
  private readonly keys = new Map<number, string>();
  private readonly expanding = new Map<number, number>();
  private outermostCycle = Infinity;
  private readonly die: Die;
  private readonly origin: Die;
  private signatureMap: Map<string, string[]> | undefined;

  /**
   * Walks the units given and the type units they refer to.
   * @throws HotPatchError `unsupported-object` when parts of the information are in another file.
   */
  constructor(
    readonly dwarf: Dwarf,
    units: readonly UnitHeader[],
    private readonly elf: ElfFile,
  ) {
    this.die = new Die(dwarf);
    this.origin = new Die(dwarf);
    for (const unit of units) this.walkUnit(unit, GLOBAL);
    if (this.dwarf.units.some(({ signature }) => signature !== undefined)) this.walkTypeUnits(units);
    this.join();
  }

  /** Layout of a class, structure or union: its members in order of declaration. */
  members(entry: TypeEntry): Member[] {
    if (entry.flat) return entry.flat;
    const flat: Member[] = [];
    entry.flat = flat;
    this.flatten(entry, '', 0, flat);
    return flat;
  }

  /** See Member.key. `undefined` stands for `void`. */
  key(type: number | undefined): string {
    if (type === undefined) return 'void';
    const known = this.keys.get(type);
    if (known !== undefined) return known;
    const outer = this.outermostCycle;
    this.outermostCycle = Infinity;
    const key = this.makeKey(type);
    // A key that was cut short at a type being expanded further out is good only in this place.
    if (this.outermostCycle >= this.expanding.size) this.keys.set(type, key);
    this.outermostCycle = Math.min(outer, this.outermostCycle);
    return key;
  }

  /** Size in bytes; undefined for incomplete types. */
  sizeOf(type: number): number | undefined {
    let factor = 1;
    for (let depth = 0; depth < 64; depth++) {
      const die = this.dwarf.die(type, this.origin);
      const size = die.number(dw.DW_AT_byte_size);
      if (size !== undefined) return size * factor;
      if (die.tag === dw.DW_TAG_array_type) {
        for (const count of this.bounds(type)) {
          if (count === '?') return undefined;
          factor *= Number(count);
        }
      }
      if (die.tag === dw.DW_TAG_pointer_type) return die.unit.addressSize * factor;
      const next = this.reference(die, dw.DW_AT_type) ?? this.reference(die, dw.DW_AT_signature);
      if (next === undefined) return undefined;
      type = next;
    }
    return undefined;
  }

  /** The class, structure, union or enumeration that objects of a type consist of, through typedef, const and array. */
  valueType(type: number): TypeEntry | undefined {
    for (let depth = 0; depth < 64; depth++) {
      const die = this.dwarf.die(type, this.origin);
      if (isAggregate(die.tag) || die.tag === dw.DW_TAG_enumeration_type) return this.entryAt(type);
      if (!isTransparent(die.tag) && die.tag !== dw.DW_TAG_array_type) return undefined;
      const next = this.reference(die, dw.DW_AT_type);
      if (next === undefined) return undefined;
      type = next;
    }
    return undefined;
  }

  /** A type as in a declaration, for messages. */
  describe(type: number | undefined, depth = 0): string {
    if (type === undefined) return 'void';
    if (depth > 16) return '…';
    const die = this.dwarf.die(type, new Die(this.dwarf));
    const inner = (): string => this.describe(this.reference(die, dw.DW_AT_type), depth + 1);
    switch (die.tag) {
      case dw.DW_TAG_pointer_type:
        return `${inner()} *`.replace('* *', '**');
      case dw.DW_TAG_reference_type:
        return `${inner()} &`;
      case dw.DW_TAG_rvalue_reference_type:
        return `${inner()} &&`;
      case dw.DW_TAG_const_type:
        return `const ${inner()}`;
      case dw.DW_TAG_volatile_type:
        return `volatile ${inner()}`;
      case dw.DW_TAG_restrict_type:
      case dw.DW_TAG_immutable_type:
        return inner();
      case dw.DW_TAG_atomic_type:
        return `_Atomic ${inner()}`;
      case dw.DW_TAG_array_type:
        return `${inner()}${this.bounds(type)
          .map((count) => `[${count === '?' ? '' : count}]`)
          .join('')}`;
      case dw.DW_TAG_subroutine_type:
        return 'function';
      default:
        return (
          this.entryAt(type)?.name ??
          die.string(dw.DW_AT_name) ??
          (die.tag === dw.DW_TAG_enumeration_type ? 'unnamed enum' : 'unnamed type')
        );
    }
  }

  /** Return and parameter types of the functions that have code, by linkage name (by name where that is not known).
   * More than one when several functions share the name. */
  signatures(): ReadonlyMap<string, readonly string[]> {
    if (this.signatureMap) return this.signatureMap;
    const result = new Map<string, string[]>();
    for (const [name, entries] of this.prototypes()) {
      const keys = entries.map((entry) => {
        let key = this.key(entry.returns) + (entry.variadic ? '(...' : '(');
        for (const parameter of entry.parameters) key += `${this.key(parameter)},`;
        return key;
      });
      result.set(name, [...new Set(keys)]);
    }
    this.signatureMap = result;
    return result;
  }

  /** As signatures(), with the types themselves. */
  prototypes(): ReadonlyMap<string, readonly FunctionEntry[]> {
    const symbols = this.localSymbols();
    const result = new Map<string, FunctionEntry[]>();
    for (const { types, symbol, name, address, section } of this.code) {
      const entry = this.functions.get(types);
      if (!entry) continue;
      const linkName = symbol ?? symbols.get(place(section, address)) ?? name;
      const others = result.get(linkName);
      if (!others) result.set(linkName, [entry]);
      else if (!others.includes(entry)) others.push(entry);
    }
    return result;
  }

  private walkUnit(unit: UnitHeader, scope: Scope): void {
    if (this.walked.has(unit.index)) return;
    this.walked.add(unit.index);
    for (const abbreviation of this.dwarf.abbreviations(unit)) {
      if (abbreviation?.forms.some(isSupplementary))
        throw new HotPatchError('unsupported-object', SUPPLEMENTARY);
    }
    const root = this.dwarf.root(unit);
    if (root.hasChildren) this.walk(unit, root.next, scope);
  }

  /** Type units hold types of any unit; only those that are reachable from the units at hand are theirs. */
  private walkTypeUnits(units: readonly UnitHeader[]): void {
    const pending = [...units];
    const seen = new Set<bigint>();
    for (let unit = pending.pop(); unit; unit = pending.pop()) {
      this.walkUnit(unit, GLOBAL);
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
          this.register(entry, scope);
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
            const type = this.reference(die, dw.DW_AT_type);
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
            const type = this.reference(die, dw.DW_AT_type);
            if (type !== undefined) scope.callee.parameters.push(type);
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
          if (die.flag(dw.DW_AT_declaration)) {
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
  private reference(die: Die, attribute: number): number | undefined {
    const target = die.reference(attribute);
    if (target === undefined && die.has(attribute))
      throw new HotPatchError('unsupported-object', SUPPLEMENTARY);
    return target;
  }

  private readType(scope: Scope): TypeEntry {
    const { die } = this;
    const own = die.string(dw.DW_AT_name);
    const named = own !== undefined && !UNNAMED.test(own);
    // A class that is defined outside the class or namespace it belongs to was declared there (2.13.2).
    const specification = die.reference(dw.DW_AT_specification);
    const declared = specification === undefined ? undefined : this.declarationAt(die.unit, specification);
    const { tag } = die;
    const elsewhere = die.reference(dw.DW_AT_signature);
    if (elsewhere !== undefined) this.stubs.set(die.address, elsewhere);
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
      local: declared ? declared.local : scope.local || (named && mentionsLocal(own)),
      declaration: die.flag(dw.DW_AT_declaration),
      size: die.number(dw.DW_AT_byte_size) ?? 0,
      alignment: die.number(dw.DW_AT_alignment) ?? 0,
      unit: die.unit,
      file: die.number(dw.DW_AT_decl_file) ?? 0,
      line: die.number(dw.DW_AT_decl_line) ?? 0,
      underlying: tag === dw.DW_TAG_enumeration_type ? this.reference(die, dw.DW_AT_type) : undefined,
      encoding: die.number(dw.DW_AT_encoding) ?? 0,
      rawMembers: [],
      bases: [],
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
    const entry = this.entries.get(address);
    if (entry) return entry;
    if (!this.scanned.has(unit.index)) {
      this.scanned.add(unit.index);
      const root = this.dwarf.root(unit);
      if (root.hasChildren) this.scanDeclarations(unit, root.next, '');
    }
    const name = this.declaredNames.get(address);
    return name === undefined ? undefined : { name, local: false };
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

  private register(entry: TypeEntry, scope: Scope): void {
    this.entries.set(entry.address, entry);
    if (entry.name === undefined || entry.local || entry.declaration || this.stubs.has(entry.address)) return;
    // Inside a type without a name nothing can be found again by its name.
    if (scope.local) return;
    entry.twin = this.types.get(entry.name);
    this.types.set(entry.name, entry);
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
          this.looseEnumerators.set(scope.prefix + name, { value, entry, line });
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
    const type = this.reference(die, dw.DW_AT_type);
    if (type === undefined) return;
    const bits = die.number(dw.DW_AT_bit_size) ?? 0;
    let offset = memberLocation(die) * 8;
    const dataBit = die.number(dw.DW_AT_data_bit_offset);
    const bigEndianBit = die.number(dw.DW_AT_bit_offset);
    if (dataBit !== undefined) offset = dataBit;
    // DWARF 2 and 3 count from the most significant bit of the storage unit (DWARF 3, 5.6.6).
    else if (bigEndianBit !== undefined) {
      const storage = die.number(dw.DW_AT_byte_size) ?? this.sizeOf(type) ?? 4;
      offset += storage * 8 - bigEndianBit - bits;
    }
    owner.rawMembers.push({
      name: die.string(dw.DW_AT_name),
      type,
      offset,
      bits,
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
      owner.virtuals.push({ symbol, name, slot, line: die.number(dw.DW_AT_decl_line) ?? owner.line });
  }

  private readTypedef(scope: Scope): void {
    const { die } = this;
    const name = die.string(dw.DW_AT_name);
    const type = this.reference(die, dw.DW_AT_type);
    if (name === undefined || type === undefined || mentionsLocal(name)) return;
    const qualified = scope.prefix + name;
    this.typedefs.set(qualified, {
      twin: this.typedefs.get(qualified),
      type,
      unit: die.unit,
      file: die.number(dw.DW_AT_decl_file) ?? 0,
      line: die.number(dw.DW_AT_decl_line) ?? 0,
    });
    this.namings.push({ type, name: qualified, scope });
  }

  /** Puts together what one entry says about another, when all of them are registered. */
  private join(): void {
    this.nameByTypedefs();
    this.joinVariables();
  }

  /** `typedef struct { … } Name;`: the type goes by the name of its first typedef, which may precede it. */
  private nameByTypedefs(): void {
    for (const { type, name, scope } of this.namings.splice(0)) {
      const target = this.entries.get(this.stubs.get(type) ?? type);
      if (!target || target.name !== undefined || target.local || target.declaration) continue;
      target.name = name;
      for (const { name: enumerator } of target.enumerators)
        this.looseEnumerators.delete(scope.prefix + enumerator);
      this.register(target, scope);
    }
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
    if (specification !== undefined) this.outside.push({ entry, declaration: specification });
    else if (declaration) this.declared.set(die.address, entry);
    else this.addVariable(entry, inFunction);
  }

  /** Puts definitions and the declarations they refer to together; either may come first. */
  private joinVariables(): void {
    for (const { entry, declaration } of this.outside.splice(0)) {
      const inside = this.declared.get(declaration);
      this.declared.delete(declaration);
      this.addVariable(inside ? { ...entry, name: inside.name, external: true } : entry, false);
    }
    for (const entry of this.declared.values()) this.addVariable(entry, false);
    this.declared.clear();
  }

  private addVariable(entry: VariableEntry, several: boolean): void {
    const identity = entry.symbol ?? entry.name;
    const known = this.variables.get(identity);
    if (!known) this.variables.set(identity, [entry]);
    // Blocks of one function may each have a static of that name.
    else if (several && entry.symbol === undefined) known.push(entry);
    // A variable may be declared first, and its type be complete only where it is defined.
    else if (entry.defined || !known[0]?.defined) known[0] = entry;
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
      callee = { returns, parameters: [], variadic: false };
      this.functions.set(address, callee);
    }
    if (hasCode)
      this.code.push({
        types: abstract ?? address,
        symbol,
        name: name ?? functionName,
        address: low?.address,
        section: low?.section,
      });
    return { callee, name: functionName };
  }

  /** The class, structure, union or enumeration at an address, reading its unit if that was not done. */
  private entryAt(address: number): TypeEntry | undefined {
    if (!this.entries.has(address)) {
      this.walkUnit(this.dwarf.unitAt(address), GLOBAL);
      this.join();
    }
    const definition = this.stubs.get(address);
    return definition === undefined ? this.entries.get(address) : this.entryAt(definition);
  }

  private flatten(entry: TypeEntry, prefix: string, start: number, into: Member[]): void {
    for (const { name, type, offset, bits, line } of entry.rawMembers) {
      const path = prefix + (name ?? '');
      const inner = this.unnamedAggregate(type);
      if (inner && !this.expanding.has(inner.address)) {
        this.expanding.set(inner.address, this.expanding.size);
        this.flatten(inner, name === undefined ? prefix : `${path}.`, start + offset, into);
        this.expanding.delete(inner.address);
      } else into.push({ name: path, offset: start + offset, bits, key: this.key(type), type, line });
    }
  }

  /** The structure or union without a name that a member consists of. */
  private unnamedAggregate(type: number): TypeEntry | undefined {
    let die = this.dwarf.die(type, this.origin);
    for (let depth = 0; isTransparent(die.tag) && die.tag !== dw.DW_TAG_typedef && depth < 16; depth++) {
      const next = die.reference(dw.DW_AT_type);
      if (next === undefined) return undefined;
      die = this.dwarf.die(next, this.origin);
    }
    if (!isAggregate(die.tag)) return undefined;
    const entry = this.entryAt(die.address);
    return entry && entry.name === undefined && !entry.declaration ? entry : undefined;
  }

  private makeKey(type: number): string {
    const die = this.dwarf.die(type, this.origin);
    const { tag } = die;
    switch (tag) {
      case dw.DW_TAG_base_type:
        return `b${die.number(dw.DW_AT_encoding) ?? 0}:${die.number(dw.DW_AT_byte_size) ?? 0}`;
      case dw.DW_TAG_pointer_type:
        return `*${this.key(this.reference(die, dw.DW_AT_type))}`;
      case dw.DW_TAG_reference_type:
        return `&${this.key(this.reference(die, dw.DW_AT_type))}`;
      case dw.DW_TAG_rvalue_reference_type:
        return `&&${this.key(this.reference(die, dw.DW_AT_type))}`;
      case dw.DW_TAG_ptr_to_member_type: {
        const of = this.reference(die, dw.DW_AT_containing_type);
        const target = this.reference(die, dw.DW_AT_type);
        return `M${this.key(of)}.${this.key(target)}`;
      }
      case dw.DW_TAG_array_type: {
        const element = this.reference(die, dw.DW_AT_type);
        return `${this.bounds(type)
          .map((count) => `[${count}]`)
          .join('')}${this.key(element)}`;
      }
      case dw.DW_TAG_subroutine_type:
        return this.subroutineKey(type);
      case dw.DW_TAG_structure_type:
      case dw.DW_TAG_class_type:
      case dw.DW_TAG_union_type:
      case dw.DW_TAG_enumeration_type: {
        const entry = this.entryAt(type);
        if (!entry) return `{${die.string(dw.DW_AT_name) ?? ''}}`;
        if (entry.name !== undefined && !entry.local) return `{${entry.name}}`;
        return this.structuralKey(entry);
      }
      default: {
        if (isTransparent(tag)) return this.key(this.reference(die, dw.DW_AT_type));
        return `t${tag}:${die.number(dw.DW_AT_byte_size) ?? 0}:${die.string(dw.DW_AT_name) ?? ''}`;
      }
    }
  }

  /** A type without a name that both compiles know, by all that it consists of. */
  private structuralKey(entry: TypeEntry): string {
    if (entry.kind === 'enum') return `e${entry.size}:${this.enumEncoding(entry)}`;
    const level = this.expanding.get(entry.address);
    if (level !== undefined) {
      this.outermostCycle = Math.min(this.outermostCycle, level);
      return `^${this.expanding.size - level}`;
    }
    if (entry.declaration) return `{${entry.name ?? ''}}`;
    this.expanding.set(entry.address, this.expanding.size);
    const bases = entry.bases.map(({ type, location }) => `${location}:${this.key(type)}`);
    const members: Member[] = [];
    this.flatten(entry, '', 0, members);
    this.expanding.delete(entry.address);
    const parts = members.map(({ offset, bits, key }) => `${offset}.${bits}:${key}`);
    return `${entry.kind}${entry.size}(${[...bases, ...parts].join(';')})`;
  }

  /** DW_ATE_… of what an enumeration is stored as; 0 when the compiler did not say. */
  enumEncoding(entry: TypeEntry): number {
    if (entry.encoding !== 0) return entry.encoding;
    let type = entry.underlying;
    for (let depth = 0; type !== undefined && depth < 16; depth++) {
      const die = this.dwarf.die(type, this.origin);
      const encoding = die.number(dw.DW_AT_encoding);
      if (encoding !== undefined) return encoding;
      type = die.reference(dw.DW_AT_type);
    }
    return 0;
  }

  private subroutineKey(type: number): string {
    const die = this.dwarf.die(type, new Die(this.dwarf));
    const { unit, next, hasChildren } = die;
    const parameters: string[] = [];
    const returns = this.key(this.reference(die, dw.DW_AT_type));
    const abbreviations = this.dwarf.abbreviations(unit);
    let at = next;
    while (hasChildren && at < unit.end) {
      die.read(unit, at);
      if (die.tag === 0) break;
      const abbreviation = die.abbreviation;
      if (die.tag === dw.DW_TAG_formal_parameter)
        parameters.push(this.key(this.reference(die, dw.DW_AT_type)));
      else if (die.tag === dw.DW_TAG_unspecified_parameters) parameters.push('...');
      at = abbreviation ? skipTree(abbreviations, abbreviation, unit, afterLeb(unit.bytes, at)) : unit.end;
    }
    return `f(${returns};${parameters.join()})`;
  }

  /** Element counts of an array's dimensions, `?` where not known (5.5, 5.13). */
  private bounds(type: number): string[] {
    const die = this.dwarf.die(type, new Die(this.dwarf));
    const { unit, next, hasChildren } = die;
    const counts: string[] = [];
    let at = next;
    while (hasChildren && at < unit.end) {
      die.read(unit, at);
      if (die.tag === 0) break;
      if (die.tag === dw.DW_TAG_subrange_type) counts.push(countOf(die));
      at = die.next;
    }
    return counts;
  }

  /** C++ leaves the linkage name of static functions out; the symbol table has it, by address. */
  private localSymbols(): Map<string, string> {
    const wanted = new Set<string>();
    for (const { symbol, address, section } of this.code)
      if (symbol === undefined && address !== undefined) wanted.add(place(section, address));
    const found = new Map<string, string>();
    const table = this.elf.sections.find(({ type }) => type === elfConstants.SHT_SYMTAB);
    const strings = table && this.elf.sections[table.link];
    if (wanted.size === 0 || !table || !strings) return found;
    const bytes = this.elf.data(table);
    const names = this.elf.data(strings);
    const relocatable = this.elf.type === elfConstants.ET_REL;
    for (let at = 0; at + 24 <= bytes.length; at += 24) {
      if (((bytes[at + 4] ?? 0) & 15) !== elfConstants.STT_FUNC) continue;
      const section = relocatable ? bytes.readUInt16LE(at + 6) : undefined;
      const key = place(section, number64(bytes, at + 8));
      if (!wanted.has(key)) continue;
      const start = bytes.readUInt32LE(at);
      found.set(key, names.toString('utf8', start, names.indexOf(0, start)));
    }
    return found;
  }
}

const SUPPLEMENTARY = 'parts of the debug information are in another file (dwz, or missing type units)';

const place = (section: number | undefined, address: number | undefined): string =>
  `${section ?? ''}:${address ?? ''}`;

const linkageName = (die: Die): string | undefined =>
  die.string(dw.DW_AT_linkage_name) ?? die.string(dw.DW_AT_MIPS_linkage_name);

function isSupplementary(form: number): boolean {
  return (
    form === dw.DW_FORM_GNU_ref_alt ||
    form === dw.DW_FORM_GNU_strp_alt ||
    form === dw.DW_FORM_ref_sup4 ||
    form === dw.DW_FORM_ref_sup8 ||
    form === dw.DW_FORM_strp_sup
  );
}

function isAggregate(tag: number): boolean {
  return tag === dw.DW_TAG_structure_type || tag === dw.DW_TAG_class_type || tag === dw.DW_TAG_union_type;
}

/** Tags that change nothing about where the bytes of an object are and what they mean. */
function isTransparent(tag: number): boolean {
  return (
    tag === dw.DW_TAG_typedef ||
    tag === dw.DW_TAG_const_type ||
    tag === dw.DW_TAG_volatile_type ||
    tag === dw.DW_TAG_restrict_type ||
    tag === dw.DW_TAG_atomic_type ||
    tag === dw.DW_TAG_immutable_type
  );
}

/** Offset in bytes of a member (5.7.6): a constant, or before DWARF 3 an expression that adds one. */
function memberLocation(die: Die): number {
  const expression = die.block(dw.DW_AT_data_member_location);
  if (expression) return expression[0] === dw.DW_OP_plus_uconst ? uleb(expression, 1) : 0;
  return die.number(dw.DW_AT_data_member_location) ?? 0;
}

/** Slot of a virtual function (5.7.8): a constant, or an expression that pushes one. */
function slotOf(die: Die): number | undefined {
  const expression = die.block(dw.DW_AT_vtable_elem_location);
  if (!expression) return die.number(dw.DW_AT_vtable_elem_location);
  return expression[0] === dw.DW_OP_constu ? uleb(expression, 1) : undefined;
}

/** Value of an enumerator, exact also where a number would not be. */
function constantOf(die: Die): string {
  const block = die.block(dw.DW_AT_const_value);
  if (block) return block.toString('hex');
  return String(die.number(dw.DW_AT_const_value) ?? '');
}

function countOf(die: Die): string {
  const count = die.number(dw.DW_AT_count);
  if (count !== undefined && die.block(dw.DW_AT_count) === undefined) return String(count);
  const upper = die.number(dw.DW_AT_upper_bound);
  if (upper === undefined || die.block(dw.DW_AT_upper_bound) !== undefined) return '?';
  // The bound may be a reference to a variable's entry (a VLA), which says nothing here.
  const form = die.form(dw.DW_AT_upper_bound);
  if (form >= dw.DW_FORM_ref_addr && form <= dw.DW_FORM_ref_udata) return '?';
  // `T x[0]` has the upper bound -1, which some compilers write unsigned.
  return upper >= 0xffffffff ? '0' : String(upper + 1);
}

/** An expression that is an address of a static object or of a thread-local one (2.6.1). */
function isAddress(expression: Buffer): boolean {
  switch (expression[0]) {
    case dw.DW_OP_addr:
    case dw.DW_OP_addrx:
    case dw.DW_OP_GNU_addr_index:
      return true;
    // Thread-local: an offset, then DW_OP_form_tls_address or its GNU twin.
    case dw.DW_OP_const4u:
    case dw.DW_OP_const8u:
    case dw.DW_OP_constx:
    case dw.DW_OP_GNU_const_index: {
      const last = expression.at(-1);
      return last === dw.DW_OP_form_tls_address || last === dw.DW_OP_GNU_push_tls_address;
    }
    default:
      return false;
  }
}
