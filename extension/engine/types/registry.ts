// What was read of a unit, by name and by address, and what one entry says about another: which typedef names a type,
// which definition belongs to which declaration. walk.ts fills it.
import type { UnitHeader } from '../dwarf/unit_headers';
import type { CodeEntry, FunctionEntry, Scope, TypedefEntry, TypeEntry, VariableEntry } from './entries';

/** A typedef of a type. */
interface Naming {
  type: number;
  name: string;
  scope: Scope;
  unit: UnitHeader;
  file: number;
  line: number;
}

export class Registry {
  /** Definitions by qualified name; without those that are local. */
  readonly types = new Map<string, TypeEntry>();
  /** Qualified names of those that are only declared. */
  readonly declarations = new Set<string>();
  /** Enumerators of unnamed enumerations outside functions, by qualified name. */
  readonly looseEnumerators = new Map<string, { value: string; entry: TypeEntry; line: number }>();
  readonly typedefs = new Map<string, TypedefEntry>();
  readonly variables = new Map<string, VariableEntry[]>();
  readonly entries = new Map<number, TypeEntry>();
  /** Stubs that stand for a type in a type unit (DW_AT_signature), and where that is. */
  readonly stubs = new Map<number, number>();
  readonly functions = new Map<number, FunctionEntry>();
  readonly code: CodeEntry[] = [];
  /** Entries of functions that are only declared, members of classes among them. */
  readonly declaredFunctions: number[] = [];
  /** Types of variables that are in frames or nowhere, and results of functions that are only declared. */
  readonly locals = new Set<number>();
  /** Left for the end of a unit's walk, when all that they refer to is registered. */
  readonly namings: Naming[] = [];
  readonly declared = new Map<number, VariableEntry>();
  readonly outside: { entry: VariableEntry; declaration: number }[] = [];

  register(entry: TypeEntry, scope: Scope): void {
    this.entries.set(entry.address, entry);
    if (entry.declaration && entry.name !== undefined) this.declarations.add(entry.name);
    if (entry.name === undefined || entry.local || entry.declaration || this.stubs.has(entry.address)) return;
    // Inside a type without a name nothing can be found again by its name.
    if (scope.local) return;
    entry.twin = this.types.get(entry.name);
    this.types.set(entry.name, entry);
  }

  /** Puts together what one entry says about another, when all of them are registered. */
  join(): void {
    this.nameByTypedefs();
    this.joinVariables();
  }

  /** `typedef struct { … } Name;`: the type goes by the name of that typedef, which may precede it. Others refer to the type
   * itself as well (`value_type` of a container), in any order. */
  private nameByTypedefs(): void {
    const all = new Map<TypeEntry, Naming[]>();
    for (const naming of this.namings.splice(0)) {
      const target = this.entries.get(this.stubs.get(naming.type) ?? naming.type);
      if (!target || target.name !== undefined || target.local) continue;
      all.set(target, [...(all.get(target) ?? []), naming]);
    }
    for (const [target, namings] of all) {
      const own = namings
        .filter(({ unit, file, line }) => unit === target.unit && file === target.file && line >= target.line)
        .sort((a, b) => a.line - b.line)[0];
      const outside = namings.find(({ scope }) => scope.kind === 'namespace');
      // Of a declaration clang says no place.
      const naming = target.declaration ? outside : (own ?? outside ?? namings[0]);
      if (!naming) continue;
      target.name = naming.name;
      target.byTypedef = true;
      for (const { name: enumerator } of target.enumerators)
        this.looseEnumerators.delete(naming.scope.prefix + enumerator);
      this.register(target, naming.scope);
    }
  }

  /** clang may describe a type and leave out the typedef that names it: types that have such a name here, and none in the
   * others. */
  namedOtherwiseThan(others: readonly Registry[]): TypeEntry[] {
    const named = [...this.types].filter(
      ([name, { byTypedef }]) => byTypedef && !others.some(({ typedefs }) => typedefs.has(name)),
    );
    if (named.length === 0) return [];
    const shapes = new Set(
      others.flatMap((other) =>
        [...other.entries.values()].flatMap((entry) => (entry.name === undefined ? [shapeOf(entry)] : [])),
      ),
    );
    return named.flatMap(([, entry]) => (shapes.has(shapeOf(entry)) ? [entry] : []));
  }

  /** Types lose their names; before keys are made of them. */
  unname(entries: readonly TypeEntry[]): void {
    for (const entry of entries) {
      this.types.delete(entry.name!);
      entry.name = undefined;
    }
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

  addVariable(entry: VariableEntry, several: boolean): void {
    const identity = entry.symbol ?? entry.name;
    const known = this.variables.get(identity);
    if (!known) this.variables.set(identity, [entry]);
    // Blocks of one function may each have a static of that name.
    else if (several && entry.symbol === undefined) known.push(entry);
    // A variable may be declared first, and its type be complete only where it is defined.
    else if (entry.defined || !known[0]?.defined) known[0] = entry;
  }
}

function shapeOf({ kind, size, declaration, rawMembers }: TypeEntry): string {
  const members = rawMembers.map(({ name, offset, bits }) => `${name ?? ''}@${offset}.${bits}`);
  return declaration ? '' : `${kind}${size}:${members.join()}`;
}
