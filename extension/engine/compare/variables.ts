// What a save changes about variables that exist: their size (refused), their initialiser or, of a constant that other
// files can read or whose address may be kept, its value (a warning: the value is kept). Part of the safety checks, with layout.ts, which knows types;
// this one only needs symbols, so it also works without debug information. New variables are start_code.ts's.
import * as abi from '../elf/constants';
import type { ElfSymbol, Relocation, Section } from '../elf/file';
import type { LiveSymbol } from '../live/live_image';
import { isConstant, type Locate, type ObjectFunction } from '../elf/object';
import type { Problem } from '../model/result';
import { IDENTITY } from './constants';
import { isReported } from './instrumentation';
import { changedInitialisations, type Initialisation } from './local_initialisers';
import { LiveReferences, running } from './live_references';
import { type OptimisedAway, optimisedAway, splitThreadLocals } from './optimised_away';
import { missingEntries } from './section_arrays';
import { splitVariableOf } from './static_variables';
import type { UnitComparison } from './unit';

/** Does any variable differ in size from the live one? */
export function hasResized(comparison: UnitComparison): boolean {
  return variables(comparison).some(({ symbol, live }) => live.size !== symbol.size);
}

/** Writable variables of the unit that the process has. */
function variables(comparison: UnitComparison): { symbol: ElfSymbol; section: Section; live: LiveSymbol }[] {
  const { object } = comparison;
  return object.symbols.flatMap((symbol) => {
    if (symbol.type !== abi.STT_OBJECT || symbol.size === 0 || isReported(symbol, comparison)) return [];
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

/** Constants of the unit itself, of another value than in the process, whose address the process may have kept: code
 * stores it, or passes it on and the constant is more than text and numbers. (One that is in an initialised variable
 * makes that variable's initialiser another.) */
function keptConstants(comparison: UnitComparison): ElfSymbol[] {
  const { object } = comparison;
  return object.symbols.filter((symbol) => {
    if (symbol.type !== abi.STT_OBJECT || symbol.size === 0 || symbol.binding !== abi.STB_LOCAL) return false;
    const section = object.sectionOf(symbol);
    if (!section || !isConstant(section) || IDENTITY.test(symbol.name)) return false;
    const candidates = comparison.correlation.candidates(symbol);
    if (candidates.length === 0) return false;
    // The one that is in the process already, from an earlier edit perhaps, is what code refers to that is running?
    const home = comparison.constant(section, symbol);
    if (home && candidates.length === 1) return false;
    const isRunning = (fn: ObjectFunction): boolean =>
      home !== undefined &&
      new LiveReferences(comparison.live, () => running(comparison.of(fn))).includes(
        home.address,
        home.address,
      );
    const refersTo = (relocation: Relocation, beyond: number): boolean => {
      const target = object.symbol(relocation.symbol);
      return target.section === symbol.section && target.value + relocation.addend + beyond === symbol.value;
    };
    const hasPointers = object.relocationsIn(section, symbol.value, symbol.value + symbol.size).length > 0;
    const isGivenAway = (fn: ObjectFunction): boolean =>
      comparison.references.of(fn).some((reference) => {
        if (!refersTo(reference, reference.beyond)) return false;
        const escape = comparison.references.arch.escapeOf(object.code(fn), reference.offset - fn.offset);
        return escape === 'stored' || (escape === 'passed' && hasPointers);
      });
    return object.functions.some(
      (fn) => comparison.of(fn).status !== 'same' && isGivenAway(fn) && !isRunning(fn),
    );
  });
}

const INITIALISATIONS: Record<Initialisation, (symbol: string) => string> = {
  changed: (symbol) => `The initialiser of ${symbol} changed; if it has run, the present value is kept`,
  gone: (symbol) => `The initialiser of ${symbol} changed; its present value is kept`,
  'perhaps changed': (symbol) =>
    `The initialiser of ${symbol} may have changed; if it has run, the present value is kept`,
  new: (symbol) => `${symbol} has code as its initialiser now, which will run and replace its present value`,
};

const OPTIMISED_AWAY: Record<OptimisedAway['change'], (name: string) => string> = {
  folded: (symbol) =>
    `Nothing writes to ${symbol} any more, so the compiler took its initial value: the present one has no effect`,
  encoded: (symbol) =>
    `The compiler keeps ${symbol} as one of two values, and these are others now: the present one is taken for one of them`,
  revived: (symbol) =>
    `${symbol} was optimised away when the program was built: it begins with its initial value, whatever was assigned to it`,
  split: (symbol) =>
    `The compiler split ${symbol}: the process has its parts in several places, and the code of the file needs it in one (it takes its address, or copies it)`,
};

export function checkVariables(
  comparison: UnitComparison,
  locate: Locate,
): { problems: Problem[]; warnings: Problem[] } {
  const { object } = comparison;
  const problems: Problem[] = [];
  const warnings: Problem[] = [];
  const initialisations = changedInitialisations(comparison);
  for (const [symbol, change] of initialisations)
    warnings.push({
      code: 'initializer-kept',
      message: INITIALISATIONS[change](symbol),
      symbol,
      ...locate(object, symbol),
    });
  for (const { symbol, section, live } of variables(comparison)) {
    if (live.size !== symbol.size) {
      problems.push({
        code: 'variable-changed',
        message: `${symbol.name} is ${live.size} bytes in the process and ${symbol.size} bytes in the file`,
        symbol: symbol.name,
        ...locate(object, symbol.name),
      });
    } else if (initialisations.has(symbol.name)) {
      continue;
    } else if (live.image === comparison.live.module && !comparison.sameInitialValue(section, symbol, live)) {
      warnings.push({
        code: 'initializer-kept',
        message: `The initialiser of ${symbol.name} changed; its present value is kept`,
        symbol: symbol.name,
        ...locate(object, symbol.name),
      });
    }
  }
  for (const { symbol, isPiece, change } of optimisedAway(comparison))
    if (change === 'split')
      problems.push({
        code: 'variable-changed',
        message: OPTIMISED_AWAY[change](symbol),
        symbol,
        ...locate(object, symbol),
      });
    else
      warnings.push({
        code: 'value-lost',
        message: OPTIMISED_AWAY[change](isPiece ? `A part of ${splitVariableOf(symbol)}` : symbol),
        symbol,
        ...locate(object, symbol),
      });
  for (const symbol of splitThreadLocals(comparison))
    problems.push({
      code: 'variable-changed',
      message: `The compiler split the thread_local ${splitVariableOf(symbol)} in another way than in the process: the code of the file uses other parts of it`,
      symbol,
      ...locate(object, symbol),
    });
  for (const symbol of comparison.undecidedVariables())
    problems.push({
      code: 'ambiguous-static',
      message: `It cannot be told which of the variables of its name in the process ${symbol.name} is`,
      symbol: symbol.name,
      ...locate(object, symbol.name),
    });
  for (const { symbol, array } of missingEntries(comparison))
    warnings.push({
      code: 'entry-missing',
      message: `The entry ${symbol.name} is not in the array of the section ${array}, which has what the program was linked with`,
      symbol: symbol.name,
      ...locate(object, symbol.name),
    });
  for (const symbol of changedConstants(comparison))
    warnings.push({
      code: 'constant-kept',
      message: `The value of the constant ${symbol.name} changed: functions of this file use the new one, other files that read it keep the old one`,
      symbol: symbol.name,
      ...locate(object, symbol.name),
    });
  for (const symbol of keptConstants(comparison))
    warnings.push({
      code: 'constant-kept',
      message: `The constant ${symbol.name} changed: functions of this file use the new one, pointers to it that the process has kept still lead to the old one`,
      symbol: symbol.name,
      ...locate(object, symbol.name),
    });
  return { problems, warnings };
}
