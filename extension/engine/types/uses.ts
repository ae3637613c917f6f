// Which types the code of a unit uses. A fresh object of clang describes every type that its headers define, used or not
// (compile/describe_types.ts), and one that is not used may be laid out otherwise than in the process. Looks at what the
// unit's functions and variables are made of, at what it refers to in other units, and at the words of its text, because
// debug information does not say which types a cast or `sizeof` mentions. So it may take a type for used that is not.
import * as dw from '../dwarf/constants';
import { skipTree } from '../dwarf/abbreviations';
import { Die } from '../dwarf/die';
import * as abi from '../elf/constants';
import type { ElfFile } from '../elf/file';
import { afterLeb } from '../elf/leb128';
import { isAggregate } from './attributes';
import { type LiveUnits, look } from './concerned';
import type { FunctionEntry, TypeEntry } from './entries';
import type { UnitTypes } from './types';

export class Uses {
  private readonly reached: ReadonlySet<string>;
  private readonly referred: ReadonlySet<string>;
  private readonly words: ReadonlySet<string>;
  private readonly throughOthers = new Map<UnitTypes, ReadonlySet<string>>();

  /** @param text of the unit's source; empty when it cannot be read */
  constructor(
    private readonly types: UnitTypes,
    object: ElfFile,
    text: string,
  ) {
    const { functions, variables, locals } = types.registry;
    this.reached = reach(types, [
      ...locals,
      ...[...functions.values()].flatMap(typesOf),
      ...[...variables.values()].flat().flatMap(({ defined, type }) => (defined ? [type] : [])),
    ]);
    const others = object.symbols().filter(({ section }) => section === abi.SHN_UNDEF);
    this.referred = new Set(others.map(({ name }) => name));
    this.words = new Set(text.match(/\w+/g));
  }

  /** @param live units that may have what the unit refers to */
  includes(name: string, entry: TypeEntry, live: LiveUnits): boolean {
    if (this.reached.has(name) || this.spellings(name, entry).some((word) => this.words.has(word)))
      return true;
    let isUsed = false;
    const unread = look(live, (unit) => (isUsed = this.through(unit).has(name)));
    return isUsed || unread > 0;
  }

  /** By which words a text mentions a type. */
  private spellings(name: string, { address, enumerators }: TypeEntry): string[] {
    const aliases = [...this.types.registry.typedefs].flatMap(([alias, { type }]) =>
      this.types.valueType(type)?.address === address ? [alias] : [],
    );
    const words = [name, ...aliases].map((one) => one.replace(/<.*$/, '').replace(/^.*::/, ''));
    return [...words, ...enumerators.map((one) => one.name)];
  }

  /** Types that the unit has from the functions and variables of another one. */
  private through(other: UnitTypes): ReadonlySet<string> {
    const known = this.throughOthers.get(other);
    if (known) return known;
    const roots: number[] = [];
    for (const [symbol, entries] of other.signatures.typesByName())
      if (this.referred.has(symbol)) roots.push(...entries.flatMap(typesOf));
    for (const [symbol, entries] of other.registry.variables)
      if (this.referred.has(symbol)) roots.push(...entries.map(({ type }) => type));
    const names = reach(other, roots);
    // There they may be only declared.
    const here = [...names].flatMap((name) => this.types.registry.types.get(name)?.address ?? []);
    const found = new Set([...names, ...reach(this.types, here)]);
    this.throughOthers.set(other, found);
    return found;
  }
}

const typesOf = ({ returns, parameters }: FunctionEntry): number[] =>
  returns === undefined ? parameters : [returns, ...parameters];

/** Names of the types that can be come to from others: through pointers, members, base classes, functions. */
function reach(types: UnitTypes, roots: readonly number[]): ReadonlySet<string> {
  const names = new Set<string>();
  const seen = new Set<number>();
  const pending = [...roots];
  const die = new Die(types.dwarf);
  for (let address = pending.pop(); address !== undefined; address = pending.pop()) {
    if (seen.has(address)) continue;
    seen.add(address);
    const { tag } = types.dwarf.die(address, die);
    if (isAggregate(tag) || tag === dw.DW_TAG_enumeration_type) {
      const entry = types.entryAt(address);
      if (!entry) continue;
      if (entry.name !== undefined) names.add(entry.name);
      const defined = entry.declaration ? types.registry.types.get(entry.name ?? '') : undefined;
      if (defined) pending.push(defined.address);
      for (const { type } of [...entry.rawMembers, ...entry.bases]) pending.push(type);
      continue;
    }
    for (const attribute of [dw.DW_AT_type, dw.DW_AT_containing_type]) {
      const target = die.reference(attribute);
      if (target !== undefined) pending.push(target);
    }
    if (tag === dw.DW_TAG_subroutine_type && die.hasChildren) pending.push(...parametersOf(types, die));
  }
  return names;
}

function parametersOf({ dwarf }: UnitTypes, { unit, next }: Die): number[] {
  const abbreviations = dwarf.abbreviations(unit);
  const parameters: number[] = [];
  const child = new Die(dwarf);
  for (let at = next; at < unit.end;) {
    child.read(unit, at);
    if (child.tag === 0 || !child.abbreviation) break;
    const type = child.reference(dw.DW_AT_type);
    if (type !== undefined) parameters.push(type);
    at = skipTree(abbreviations, child.abbreviation, unit, afterLeb(unit.bytes, at));
  }
  return parameters;
}
