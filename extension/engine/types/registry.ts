// What was read of a unit, by name and by address, and what one entry says about another: which typedef names a type,
// which definition belongs to which declaration. walk.ts fills it.
import type { CodeEntry, FunctionEntry, Scope, TypedefEntry, TypeEntry, VariableEntry } from './entries';

export class Registry {
  /** Definitions by qualified name; without those that are local. */
  readonly types = new Map<string, TypeEntry>();
  /** Enumerators of unnamed enumerations outside functions, by qualified name. */
  readonly looseEnumerators = new Map<string, { value: string; entry: TypeEntry; line: number }>();
  readonly typedefs = new Map<string, TypedefEntry>();
  readonly variables = new Map<string, VariableEntry[]>();
  readonly entries = new Map<number, TypeEntry>();
  /** Stubs that stand for a type in a type unit (DW_AT_signature), and where that is. */
  readonly stubs = new Map<number, number>();
  readonly functions = new Map<number, FunctionEntry>();
  readonly code: CodeEntry[] = [];
  /** Left for the end of a unit's walk, when all that they refer to is registered. */
  readonly namings: { type: number; name: string; scope: Scope }[] = [];
  readonly declared = new Map<number, VariableEntry>();
  readonly outside: { entry: VariableEntry; declaration: number }[] = [];

  register(entry: TypeEntry, scope: Scope): void {
    this.entries.set(entry.address, entry);
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
