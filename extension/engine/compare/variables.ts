// What a save changes about variables that exist: their size (refused), their initialiser or, of a constant that other
// files can read, its value (a warning: the value is kept), or a new one whose constructor would have to run (refused). Part of the safety checks, with layout.ts,
// which knows types; this one only needs symbols, so it also works without debug information.
import * as abi from '../elf/constants';
import type { ElfSymbol, Section } from '../elf/file';
import type { LiveSymbol } from '../live/live_image';
import { isConstant, type Locate, type ObjectFunction } from '../elf/object';
import type { Problem } from '../model/result';
import type { UnitComparison } from './unit';

/** Code that the start-up calls to initialise the unit's variables; it has run, and must not run again. */
const INITIALISER =
  /^(_GLOBAL__(sub_)?[ID]_|_Z41__static_initialization_and_destruction_0|__cxx_global_(var_init|array_dtor)|_ZL?\d+__cxx_global_var_init)/;

/** Every unit that includes <iostream> has one; the first that is constructed makes the library's streams ready. */
const STREAM_INITIALISER = '_ZStL8__ioinit';

export function isInitialiser(fn: ObjectFunction): boolean {
  return INITIALISER.test(fn.symbol.name);
}

/** Does any variable differ in size from the live one? */
export function hasResized(comparison: UnitComparison): boolean {
  return variables(comparison).some(({ symbol, live }) => live.size !== symbol.size);
}

/** Writable variables of the unit that the process has. */
function variables(comparison: UnitComparison): { symbol: ElfSymbol; section: Section; live: LiveSymbol }[] {
  const { object } = comparison;
  return object.symbols.flatMap((symbol) => {
    if (symbol.type !== abi.STT_OBJECT || symbol.size === 0) return [];
    const section = object.sectionOf(symbol);
    const live = section && !isConstant(section) ? comparison.variable(symbol) : undefined;
    return section && live ? [{ symbol, section, live }] : [];
  });
}

/** Constants that other units may refer to, of another value than in the process. Those of headers (in groups) are not
 * among them: all units that include the header are compared. */
function changedConstants(comparison: UnitComparison): ElfSymbol[] {
  const { object, live } = comparison;
  return object.symbols.filter((symbol) => {
    if (symbol.type !== abi.STT_OBJECT || symbol.size === 0 || symbol.binding === abi.STB_LOCAL) return false;
    const section = object.sectionOf(symbol);
    if (!section || !isConstant(section) || object.inGroup(section)) return false;
    return live.module.global(symbol.name) !== undefined && !comparison.constant(section, symbol);
  });
}

export function checkVariables(
  comparison: UnitComparison,
  locate: Locate,
): { problems: Problem[]; warnings: Problem[] } {
  const { object } = comparison;
  const problems: Problem[] = [];
  const warnings: Problem[] = [];
  for (const { symbol, section, live } of variables(comparison)) {
    if (live.size !== symbol.size) {
      problems.push({
        code: 'variable-changed',
        message: `${symbol.name} is ${live.size} bytes in the process and ${symbol.size} bytes in the file`,
        symbol: symbol.name,
        ...locate(object, symbol.name),
      });
    } else if (live.image === comparison.live.module && !comparison.sameInitialValue(section, symbol, live)) {
      warnings.push({
        code: 'initializer-kept',
        message: `The initialiser of ${symbol.name} changed; its present value is kept`,
        symbol: symbol.name,
        ...locate(object, symbol.name),
      });
    }
  }
  for (const symbol of changedConstants(comparison))
    warnings.push({
      code: 'constant-kept',
      message: `The value of the constant ${symbol.name} changed: functions of this file use the new one, other files that read it keep the old one`,
      symbol: symbol.name,
      ...locate(object, symbol.name),
    });
  for (const { fn, status } of comparison.functions) {
    if (!isInitialiser(fn) || (status !== 'changed' && status !== 'new')) continue;
    let constructs = false;
    for (const relocation of object.relocationsIn(fn.section, fn.offset, fn.offset + fn.size)) {
      const target = object.symbol(relocation.symbol);
      const section = object.sectionOf(target);
      if (!section || section.flags & abi.SHF_EXECINSTR || !(section.flags & abi.SHF_WRITE)) continue;
      const variable = target.type === abi.STT_SECTION ? object.place(section, target.value).symbol : target;
      if (!variable || isConstant(section) || comparison.variable(variable)) continue;
      // Another unit of the module has made the streams ready: once is enough.
      if (variable.name === STREAM_INITIALISER && comparison.live.module.named(STREAM_INITIALISER).length > 0)
        continue;
      constructs = true;
      if (problems.some((problem) => problem.symbol === variable.name)) continue;
      problems.push({
        code: 'needs-constructor',
        message:
          variable.name === STREAM_INITIALISER
            ? `The streams of <iostream> were never made ready in ${comparison.live.module.path}: no unit of it included that header when the process started`
            : `${variable.name} is new and is initialised by code that runs at start`,
        symbol: variable.name,
        ...locate(object, variable.name),
      });
    }
    if (status === 'changed' && !constructs)
      warnings.push({
        code: 'initializer-kept',
        message: `What initialises the global variables of ${object.source} at start changed; their present values are kept`,
        file: object.source,
      });
  }
  return { problems, warnings };
}
