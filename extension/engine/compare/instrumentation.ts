// What compilers add to a unit that no text has, of every kind: none of it is the program's, and a save leaves it as it
// runs.
import type { ElfSymbol } from '../elf/file';
import type { ObjectFile, ObjectFunction } from '../elf/object';
import { describesVariables, registersVariables } from './address_sanitizer';
import { describesCounters, reportsCounters } from './coverage';
import type { ObjectReferences } from './object_references';

/** Is a function one that only reports to the library of the instrumentation? */
export const isReporting = (fn: ObjectFunction): boolean => reportsCounters(fn) || registersVariables(fn);

/** Is a variable one that only such functions hand over? */
export const isReported = (
  symbol: ElfSymbol,
  unit: { object: ObjectFile; references: ObjectReferences },
): boolean => describesCounters(symbol) || describesVariables(symbol, unit);
