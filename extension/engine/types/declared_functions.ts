// Functions that a unit declares and another one defines, with what the declaration says that they take and return. The name
// of a C function says nothing of that, and that of a C++ function not what it returns, so that a unit which was compiled
// with another declaration links all the same.
import * as dw from '../dwarf/constants';
import { Die } from '../dwarf/die';
import type { UnitHeader } from '../dwarf/unit_headers';
import { linkageName } from './attributes';
import type { FunctionEntry } from './entries';
import type { UnitTypes } from './types';

export interface DeclaredFunction {
  /** Without what qualifies it. */
  name: string;
  entry: FunctionEntry;
  unit: UnitHeader;
  file: number;
  line: number;
}

/** By linkage name; the last declaration of each, which knows most.
 * @param wanted linkage names */
export function declaredFunctions(
  { registry, dwarf }: UnitTypes,
  wanted: ReadonlySet<string>,
): Map<string, DeclaredFunction> {
  const found = new Map<string, DeclaredFunction>();
  const die = new Die(dwarf);
  for (const address of registry.declaredFunctions) {
    dwarf.die(address, die);
    const name = die.string(dw.DW_AT_name);
    const symbol = linkageName(die) ?? name;
    if (name === undefined || symbol === undefined || !wanted.has(symbol)) continue;
    const { unit } = die;
    const file = die.number(dw.DW_AT_decl_file) ?? 0;
    const line = die.number(dw.DW_AT_decl_line) ?? 0;
    const returns = die.reference(dw.DW_AT_type);
    const convention = die.number(dw.DW_AT_calling_convention);
    const { parameters, variadic } = readParameters(die);
    const entry = { returns, parameters, variadic, homes: 0, convention };
    found.set(symbol, { name, entry, unit, file, line });
  }
  return found;

  /** Moves the entry on to the first that is no parameter. */
  function readParameters(die: Die): Pick<FunctionEntry, 'parameters' | 'variadic'> {
    const parameters: number[] = [];
    const { unit } = die;
    let variadic = false;
    for (let at = die.next, more = die.hasChildren; more && at < unit.end; at = die.next) {
      die.read(unit, at);
      const type = die.reference(dw.DW_AT_type);
      if (die.tag === dw.DW_TAG_formal_parameter && type !== undefined) parameters.push(type);
      else if (die.tag === dw.DW_TAG_unspecified_parameters) variadic = true;
      more = die.tag !== 0 && !die.hasChildren;
    }
    return { parameters, variadic };
  }
}
