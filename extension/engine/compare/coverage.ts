// What --coverage adds to a unit and no text has: functions that hand its counters to the library, and the tables that
// these hand over. They name a file and have a stamp, which are others in each compile, and the library has those of
// the process already. Part of the comparison: they are as they run.
import type { ElfSymbol } from '../elf/file';
import type { ObjectFunction } from '../elf/object';

/** gcc's start and exit functions of a priority that is kept for compilers, and what clang calls in their place. */
const FUNCTION = /^(_sub_[ID]_00(0\d\d|100)_\d+|__llvm_gcov_(init|writeout|reset))$/;

/** Is a function one of those? */
export const reportsCounters = ({ symbol: { name } }: ObjectFunction): boolean => FUNCTION.test(name);

/** Is a variable the counters of a function? With another number of them they are others, which no table has. */
export const isCounters = ({ name }: ElfSymbol): boolean => /^__gcov\d\./.test(name);

/** Is a variable one of those tables? */
export const describesCounters = ({ name }: ElfSymbol): boolean => name.startsWith('__gcov_.');
