// What --coverage and clang's profiles add to a unit and no text has: counters, functions that hand these to the library,
// and the tables that are handed over. The tables name a file and have a stamp, which are others in each compile, and the
// library has those of the process already. Part of the comparison: they are as they run.
import type { ElfSymbol } from '../elf/file';
import type { ObjectFunction } from '../elf/object';

/** gcc's start and exit functions of a priority that is kept for compilers, and what clang calls in their place. */
const FUNCTION = /^(_sub_[ID]_00(0\d\d|100)_\d+|__llvm_gcov_(init|writeout|reset))$/;

/** Is a function one of those? */
export const reportsCounters = ({ symbol: { name } }: ObjectFunction): boolean => FUNCTION.test(name);

/** clang's counters for gcov; each function has its own, and they are numbered but for the first. */
export const FIRST_COUNTERS = '__llvm_gcov_ctr';

/** gcc's, clang's for gcov, and clang's for a profile. */
const COUNTERS = /^(__gcov\d\.|__llvm_gcov_ctr(\.\d+)?$|__profc_)/;

/** Is a variable the counters of a function? With another number of them they are others, which no table has. */
export const isCounters = ({ name }: ElfSymbol): boolean => COUNTERS.test(name);

/** Is a variable one of those tables? */
export const describesCounters = ({ name }: ElfSymbol): boolean =>
  /^(__gcov_\.|__llvm_internal_gcov_emit_)/.test(name);
