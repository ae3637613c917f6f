// By what two types are the same to the code that uses them: a text for each type, equal in two units exactly when
// the types are the same; and the members of a type with those of unnamed members in their place.
import * as dw from '../dwarf/constants';
import { skipTree } from '../dwarf/abbreviations';
import { Die } from '../dwarf/die';
import type { Dwarf } from '../dwarf/dwarf';
import { afterLeb } from '../elf/leb128';
import { isAggregate, isTransparent, reference } from './attributes';
import type { Member, TypeEntry } from './entries';
import type { Sizes } from './sizes';

/** What stands for a type without a name that is only declared: clang leaves out what `typedef struct { … } T` consists of, and
 * may leave out the typedef. */
const UNKNOWN = '{}';

/** Are the types of two keys the same, as far as is known? */
export function areAlike(one: string, other: string): boolean {
  if (one === other) return true;
  const isLike = (pattern: string, key: string): boolean =>
    pattern.includes(UNKNOWN) &&
    new RegExp(
      `^${pattern
        .split(UNKNOWN)
        .map((part) => part.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&'))
        .join('.+?')}$`,
    ).test(key);
  return isLike(one, other) || isLike(other, one);
}

export class Keys {
  private readonly keys = new Map<number, string>();
  private readonly expanding = new Map<number, number>();
  private outermostCycle = Infinity;
  private readonly origin: Die;

  /** @param entryAt the class, structure, union or enumeration at an address */
  constructor(
    private readonly dwarf: Dwarf,
    private readonly sizes: Sizes,
    private readonly entryAt: (address: number) => TypeEntry | undefined,
  ) {
    this.origin = new Die(dwarf);
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
        return `*${this.key(reference(die, dw.DW_AT_type))}`;
      case dw.DW_TAG_reference_type:
        return `&${this.key(reference(die, dw.DW_AT_type))}`;
      case dw.DW_TAG_rvalue_reference_type:
        return `&&${this.key(reference(die, dw.DW_AT_type))}`;
      case dw.DW_TAG_ptr_to_member_type: {
        const of = reference(die, dw.DW_AT_containing_type);
        const target = reference(die, dw.DW_AT_type);
        return `M${this.key(of)}.${this.key(target)}`;
      }
      case dw.DW_TAG_array_type: {
        const element = reference(die, dw.DW_AT_type);
        return `${this.sizes
          .bounds(type)
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
        if (isTransparent(tag)) return this.key(reference(die, dw.DW_AT_type));
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
    const returns = this.key(reference(die, dw.DW_AT_type));
    const abbreviations = this.dwarf.abbreviations(unit);
    let at = next;
    while (hasChildren && at < unit.end) {
      die.read(unit, at);
      if (die.tag === 0) break;
      const abbreviation = die.abbreviation;
      if (die.tag === dw.DW_TAG_formal_parameter) parameters.push(this.key(reference(die, dw.DW_AT_type)));
      else if (die.tag === dw.DW_TAG_unspecified_parameters) parameters.push('...');
      at = abbreviation ? skipTree(abbreviations, abbreviation, unit, afterLeb(unit.bytes, at)) : unit.end;
    }
    return `f(${returns};${parameters.join()})`;
  }

  /** Element counts of an array's dimensions, `?` where not known (5.5, 5.13). */
}
