// Which option a compiler needs to describe every type that a unit uses. What is not described is not compared, and by
// default much is left out: of a class with virtual functions gcc and clang describe the members only where its table is,
// clang those of a class with constructors only where one is compiled, and of a type that only expressions mention
// (`extern S s; … s.member`) nothing at all. Runs nothing.
import { basename, delimiter, resolve } from 'node:path';
import type { CompileEntry } from '../context';
import { isThere, realPathOrSelf } from '../host';
import { compilerIndex } from './command';

/** With version and cross prefix: `x86_64-linux-gnu-g++-12`. */
const GCC = /^(.+-)?(gcc|g\+\+)(-?\d+(\.\d+)*)?$/;

/** Of C++ alone; warned about for C. */
const CLASSES_OF_GCC = '-femit-class-debug-always';
/** Of clang from 12 on, also what is not used. gcc knows it too, so that it does no harm when the compiler is none of those
 * that are known by their name. It changes no code; over clang 14 and 19 a compile of a unit with many headers takes 3 %
 * longer. */
const ALL = '-fno-eliminate-unused-debug-types';

/** What is to be added to the entry's command. */
export function describingFlags({ arguments: argv, directory, source }: CompileEntry): readonly string[] {
  const driver = argv[compilerIndex(argv)] ?? '';
  const program = basename(programFile(driver, directory));
  if (!GCC.test(program)) return [ALL];
  // In type units gcc leaves out what qualifies the name of a class that is only declared: it would seem to be another.
  const inUnit = argv.includes('-fdebug-types-section') ? ['-fno-debug-types-section'] : [];
  return isCxx(argv, program, source) ? [...inUnit, CLASSES_OF_GCC] : inUnit;
}

/** The last -x says so, else the driver or the name of the source (gcc, "Options Controlling the Kind of Output"). */
function isCxx(argv: readonly string[], program: string, source: string): boolean {
  const given = argv.findLast((word, i) => argv[i - 1] === '-x' || /^-x./.test(word));
  if (given !== undefined) return /c\+\+/.test(given);
  return /g\+\+/.test(program) || !/\.[ci]$/.test(source);
}

/** The file that a command's first word stands for, without links (`c++`); the word itself when there is none. */
export function programFile(name: string, directory: string): string {
  const places = name.includes('/') ? [directory] : (process.env['PATH'] ?? '').split(delimiter);
  const found = places.map((place) => resolve(directory, place, name)).find(isThere);
  return found === undefined ? name : realPathOrSelf(found);
}
