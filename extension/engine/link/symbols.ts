// The symbol table of a patch: what later saves, debuggers and profilers find its code and variables by.
import type { RegisterKeeper } from '../arch/architecture';
import * as abi from '../elf/constants';
import { LEFT_OUT, type ObjectFunction } from '../elf/object';
import { companionName, markName } from '../patch_format/marks';
import type { LinkInput } from './input';
import type { Chunk } from './select';
import type { OutputSymbol } from './write_elf';

/** The patch's own functions and variables, locals under a FILE symbol that names their source. */
export function patchSymbols(
  { selection, marks, companions }: Pick<LinkInput, 'selection' | 'marks' | 'companions'>,
  keepers: ReadonlyMap<ObjectFunction, RegisterKeeper>,
  sectionOf: (chunk: Chunk) => string,
): OutputSymbol[] {
  const symbols: OutputSymbol[] = [];
  const objects = new Set(selection.chunks.map((chunk) => chunk.object));
  const globals: OutputSymbol[] = [];
  for (const object of objects) {
    symbols.push({
      name: object.identity,
      value: 0,
      size: 0,
      type: abi.STT_FILE,
      binding: abi.STB_LOCAL,
      section: undefined,
    });
    // Later saves see by it that the debug information is not of the whole unit.
    if (object.isReduced) symbols.push(statement(LEFT_OUT));
    for (const { fn, symbol } of marks)
      if (fn.object === object) symbols.push(statement(markName(fn.symbol.name, symbol)));
    for (const fn of companions)
      if (fn.object === object) symbols.push(statement(companionName(fn.symbol.name)));
    for (const chunk of selection.chunks) {
      if (chunk.object !== object) continue;
      const keeper = chunk.fn && keepers.get(chunk.fn);
      if (keeper)
        symbols.push({
          name: `${chunk.fn!.symbol.name}.keep`,
          value: chunk.address - keeper.code.length,
          size: keeper.code.length,
          type: abi.STT_FUNC,
          binding: abi.STB_LOCAL,
          section: sectionOf(chunk),
        });
      for (const symbol of object.symbolsIn(chunk.section)) {
        if (symbol.value < chunk.start || symbol.value >= chunk.end || symbol.type === abi.STT_NOTYPE)
          continue;
        const entry = {
          name: symbol.name,
          value: chunk.address + symbol.value - chunk.start,
          size: symbol.size,
          type: symbol.type,
          binding: symbol.binding,
          section: sectionOf(chunk),
        };
        (symbol.binding === abi.STB_LOCAL ? symbols : globals).push(entry);
      }
    }
  }
  return [...symbols, ...globals];
}

/** A symbol that names no place: what it says is its name. */
function statement(name: string): OutputSymbol {
  return {
    name,
    value: 0,
    size: 0,
    type: abi.STT_NOTYPE,
    binding: abi.STB_LOCAL,
    section: undefined,
  };
}
