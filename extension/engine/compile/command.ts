// From the command a build recorded for a unit to the one that makes the object for comparison and patching: the
// same compiler with the same flags, so that the same source gives the same code. Pure; files are read through
// what is passed in. Must not add anything that changes code, or that can fail where the build did not.
import { basename, dirname, extname, join, resolve } from 'node:path';
import type { CompileEntry } from '../context';
import { HotPatchError } from '../model/errors';

/** Text of a file, or undefined when it cannot be read. */
export type ReadText = (path: string) => string | undefined;

/** What a recorded command does. */
export type CommandKind = 'compile' | 'preprocess' | 'dependencies' | 'check' | 'assemble';

/** Our additions. Functions and variables in sections of their own can be taken singly; strings and numbers in mergeable
 * sections have a begin and an end (gcc -O0 mixes them otherwise; clang does so always, and warns about the option);
 * diagnostics are parsed as text, so they are neither coloured nor wrapped, whatever the command says. None of them
 * changes code. */
const ADDED = [
  '-ffunction-sections',
  '-fdata-sections',
  '-Wno-ignored-optimization-argument',
  '-fdiagnostics-color=never',
  '-fmessage-length=0',
];

/** Options of gcc and clang whose value is the next argument. Those whose value may also be attached are
 * followed by it only when they stand alone. */
const WITH_VALUE = new Set(
  (
    '-o -x -I -L -D -U -A -B -F -G -T -e -u -z -l -h -include -imacros -isystem -iquote -idirafter -iprefix ' +
    '-iwithprefix -iwithprefixbefore -isysroot -imultilib -iframework -ivfsoverlay -include-pch -cxx-isystem ' +
    '-c-isystem -stdlib++-isystem -MF -MT -MQ -MJ -Xlinker -Xassembler -Xpreprocessor -Xclang -Xanalyzer ' +
    '-mllvm -target -arch -framework -aux-info --param -wrapper -dumpbase -dumpbase-ext -dumpdir --sysroot ' +
    '--output --config -specs --include --imacros -serialize-diagnostics --serialize-diagnostics ' +
    '-gcc-toolchain -index-store-path'
  ).split(' '),
);

/** Removed together with their value. */
const DROPPED_WITH_VALUE = new Set(
  // Where the output goes is ours to say; dependency files are the build's, and must stay as it wrote them.
  (
    '-o --output -MF -MT -MQ -MJ -serialize-diagnostics --serialize-diagnostics -index-store-path ' +
    // For the linker, which is not run.
    '-L -T -e -u -z -l -h -Xlinker'
  ).split(' '),
);

/** Removed wherever they stand. `-static`, `-shared`, `-pie` and `-no-pie` stay: they say nothing to `gcc -c`, but
 * the default code model of some compilers depends on them. */
const DROPPED: readonly RegExp[] = [
  // The stages, and files beside the object.
  /^-[cSE]$/,
  /^--?save-temps(=.*)?$/,
  /^-o./,
  /^--output=/,
  /^-f(deps|callgraph-info|stack-usage|time-trace)/,
  /^-Wa,-a/,
  // Dependency output, also through the preprocessor as Kbuild passes it.
  /^-M(D|MD|P|G|M|V|F.+|T.+|Q.+|J.+)?$/,
  /^-Wp,-M/,
  /^--(write-)?(user-)?dependencies$/,
  // LTO: the object would hold no machine code. What of it the linker then inlined shows in the comparison.
  // clang refuses the last two without -flto.
  /^-f(no-)?(fat-lto-objects|lto.*|use-linker-plugin|thinlto-.*|split-lto-unit)$/,
  /^-f(whole-program-vtables|virtual-function-elimination)$/,
  // Debug information must be in the object, in a form that can be read without the build's other files.
  /^-gsplit-dwarf(=.*)?$/,
  /^-femit-struct-debug-/,
  /^-gz(=.*)?$/,
  /^-Wa,--compress-debug-sections/,
  // Machine-readable diagnostics: they are read as text.
  /^-fdiagnostics-(format=|generate-patch|parseable-fixits|set-output|add-output)/,
  // For the linker. -l and -L joined to their value.
  /^-Wl,/,
  /^-[lL]./,
  /^-(rdynamic|s|r|nostdlib|nodefaultlibs|nostartfiles|nolibc|static-lib.*)$/,
  /^-fuse-ld=/,
  // Where gcov's notes go. That they are written (-ftest-coverage) decides what gcc counts; by default beside the object.
  /^-fprofile-note=/,
];

/** Names of compilers, with cross prefix and version: `x86_64-linux-gnu-g++-12`. */
const COMPILER =
  /^(.+-)?(gcc|g\+\+|cc|c\+\+|clang|clang\+\+|icx|icpx|mpicc|mpicxx|mpic\+\+)(-?\d+(\.\d+)*)?$/;
const LAUNCHERS = new Set([
  'env',
  'ccache',
  'sccache',
  'distcc',
  'icecc',
  'nice',
  'time',
  'gomacc',
  'buildcache',
]);
const INPUT = /\.(c|cc|cp|cpp|cxx|c\+\+|C|CPP|i|ii|s|S|sx|m|mm|o|obj|lo|a|so(\.\d+)*|bc|ll|ld|lds)$/;

/** Debug level options; the last one counts. `-gz`, `-gno-…` and the like set no level. */
const DEBUG_LEVEL =
  /^-g(([0-3]?|gdb[0-3]?|dwarf(-\d)?|full|limited|line-tables-only|line-directives-only|mlt|stabs.*|vms.*))$/;

/** Of those, the ones that leave types out. */
const WITHOUT_TYPES = /^-g((gdb)?[01]|line-tables-only|line-directives-only|mlt)$/;

/** What says how constants are merged; the last one counts (gcc manual, "Options That Control Optimization"). */
const MERGE_CONSTANTS = /^-f(no-)?merge-(all-)?constants$/;

/** Where the compiler stands behind launchers, `env VAR=value` and wrapper scripts that are given it. A wrapper
 * that stands for the compiler is taken for it. */
export function compilerIndex(argv: readonly string[]): number {
  const launched = LAUNCHERS.has(basename(argv[0] ?? ''));
  for (const [index, word] of argv.entries()) {
    if (COMPILER.test(basename(word))) return index;
    if (index > 0 && word.startsWith('-') && !launched) break;
  }
  return 0;
}

/** As many as libiberty reads before it takes them for endless. */
const MOST_RESPONSE_FILES = 2000;
/** Together, in words; each kernel's limit for a command is far below. */
const MOST_WORDS = 1_000_000;

/** Arguments with response files (`@file`) put in their place as libiberty's expandargv does it: split at blanks,
 * both quotes, a backslash takes the next character as it is; nested; an unreadable one stays as it stands.
 * Throws HotPatchError bad-compile-command when they include each other without end. */
export function expandResponseFiles(
  argv: readonly string[],
  directory: string,
  readText: ReadText,
): string[] {
  const expanded: string[] = [];
  let files = 0;
  const endless = (word: string): HotPatchError =>
    new HotPatchError('bad-compile-command', `The response file ${word} includes others without end`);
  const expand = (words: readonly string[]): void => {
    for (const word of words) {
      const text = word.startsWith('@') ? readText(resolve(directory, word.slice(1))) : undefined;
      if (text === undefined) {
        if (expanded.push(word) > MOST_WORDS)
          throw endless(argv.find((first) => first.startsWith('@')) ?? word);
        continue;
      }
      if (++files > MOST_RESPONSE_FILES) throw endless(word);
      expand(splitResponseFile(text));
    }
  };
  expand(argv);
  return expanded;
}

/** libiberty, buildargv. */
export function splitResponseFile(text: string): string[] {
  const words: string[] = [];
  let word: string | undefined;
  let quote = '';
  for (let at = 0; at < text.length; at++) {
    const character = text.charAt(at);
    if (character === '\\') word = (word ?? '') + text.charAt(++at);
    else if (quote !== '') {
      if (character === quote) quote = '';
      else word = (word ?? '') + character;
    } else if (character === '"' || character === "'") {
      quote = character;
      word ??= '';
    } else if (/\s/.test(character)) {
      if (word !== undefined) words.push(word);
      word = undefined;
    } else word = (word ?? '') + character;
  }
  if (word !== undefined) words.push(word);
  return words;
}

/** An argument with what it is, so that rules need not know where values stand. */
interface Argument {
  kind: 'before-compiler' | 'option' | 'input' | 'end-of-options';
  /** The argument and, if it has one, its separate value. */
  words: string[];
}

function parseArguments(argv: readonly string[]): Argument[] {
  const compiler = compilerIndex(argv);
  const parsed: Argument[] = argv
    .slice(0, compiler + 1)
    .map((word) => ({ kind: 'before-compiler', words: [word] }));
  for (let at = compiler + 1; at < argv.length; at++) {
    const word = argv[at] ?? '';
    const value = argv[at + 1];
    if (word === '--') {
      parsed.push({ kind: 'end-of-options', words: [word] });
      parsed.push(...argv.slice(at + 1).map((input): Argument => ({ kind: 'input', words: [input] })));
      break;
    }
    if (!word.startsWith('-') || word === '-') parsed.push({ kind: 'input', words: [word] });
    else if (WITH_VALUE.has(word) && value !== undefined) {
      parsed.push({ kind: 'option', words: [word, value] });
      at++;
    } else parsed.push({ kind: 'option', words: [word] });
  }
  return parsed;
}

/** What the command of an entry does when it is run as it is. The last of several stages wins, as in gcc. */
export function commandKind(argv: readonly string[]): CommandKind {
  let kind: CommandKind = 'compile';
  for (const { kind: what, words } of parseArguments(argv)) {
    if (what !== 'option') continue;
    if (words[0] === '-E') kind = 'preprocess';
    else if (words[0] === '-M' || words[0] === '-MM') kind = 'dependencies';
    else if (words[0] === '-fsyntax-only') kind = 'check';
    else if (words[0] === '-S') kind = 'assemble';
  }
  return kind;
}

/** The object file a command writes (absolute), when it compiles one unit only and says so. */
export function outputOf(argv: readonly string[], directory: string): string | undefined {
  const parsed = parseArguments(argv);
  if (!parsed.some(({ words }) => words[0] === '-c')) return undefined;
  for (const { words } of parsed) {
    if (words[0] === '-o' && words[1] !== undefined) return resolve(directory, words[1]);
    if (words[0]?.startsWith('-o')) return resolve(directory, words[0].slice(2));
  }
  return undefined;
}

/** Inputs of a command, as it spells them. */
export function inputsOf(argv: readonly string[]): string[] {
  return parseArguments(argv).flatMap(({ kind, words }) => (kind === 'input' ? words : []));
}

/** Warnings that the build makes errors stay warnings: our additions may cause new ones, and a patch of code with a
 * warning is for the user to decide on. */
function withoutErrors(option: string): string[] {
  if (option === '-Werror') return [];
  if (option === '-pedantic-errors') return ['-pedantic'];
  const named = /^-Werror=(.+)$/.exec(option)?.[1];
  return [named === undefined ? option : `-W${named}`];
}

/** C++ modules: compiled interfaces belong to one build and are written by compiling. CMake passes the options to
 * every C++20 file, so a unit whose map names no module is an ordinary one.
 * Throws HotPatchError unsupported-construct. */
function refuseModules(options: readonly string[], entry: CompileEntry, readText: ReadText): void {
  const maps = options.flatMap((option) => /^-fmodule-mapper=(.+)$/.exec(option)?.[1] ?? []);
  const namesNone = (map: string): boolean =>
    readText(resolve(entry.directory, map))
      ?.split('\n')
      .every((line) => line === '' || line.startsWith('$')) === true;
  if (maps.length > 0 && maps.every(namesNone)) return;
  const option = options.find((word) => /^-fmodule(s$|s-ts$|-)/.test(word));
  if (option === undefined) return;
  throw new HotPatchError(
    'unsupported-construct',
    `${entry.spelledSource} is compiled with C++ modules (${option}), which cannot be patched yet`,
    { file: entry.source },
  );
}

/** What becomes of an option of the build in our command. */
function passedOn(option: string): string[] {
  if (option === '-fsyntax-only' || DROPPED.some((pattern) => pattern.test(option))) return [];
  return withoutErrors(option);
}

/** With `-fprofile-use` alone, gcc looks for the profile beside the object, which now is elsewhere. */
function withProfile(option: string, entry: CompileEntry): string {
  if (option !== '-fprofile-use' || entry.output === undefined) return option;
  const stem = basename(entry.output, extname(entry.output));
  return `-fprofile-use=${join(dirname(entry.output), `${stem}.gcda`)}`;
}

/** The build's options for the unit, without any that say what to do with it. The source is spelled as the build
 * spells it, and the command is to be run in the entry's directory: `__FILE__`, prefix maps and the names in the
 * debug information are then the build's.
 * Throws HotPatchError unsupported-construct. */
function unitArguments(entry: CompileEntry, readText: ReadText): { options: string[]; inputs: string[] } {
  const argv = expandResponseFiles(entry.arguments, entry.directory, readText);
  const parsed = parseArguments(argv);
  refuseModules(
    parsed.flatMap(({ kind, words }) => (kind === 'option' ? words : [])),
    entry,
    readText,
  );
  const options: string[] = [];
  const inputs: string[] = [];
  for (const { kind, words } of parsed) {
    const [first = ''] = words;
    if (kind === 'before-compiler') options.push(first);
    else if (kind === 'input') {
      if (first === entry.spelledSource) inputs[0] ??= first;
      // Something that is no input is the value of an option that is not known here.
      else if (!INPUT.test(first)) options.push(first);
    } else if (kind === 'option') {
      if (DROPPED_WITH_VALUE.has(first) && words.length > 1) continue;
      const passed = passedOn(first);
      if (passed.length > 0 && words.length > 1) options.push(...words);
      else options.push(...passed.map((word) => withProfile(word, entry)));
    }
  }
  if (inputs.length === 0) inputs.push(entry.spelledSource);
  return { options, inputs };
}

/** Of the options of a build that a compiler recorded, those that objectCommand passes on, as it does. Their separate values
 * are taken for lost. */
export function passedOptions(options: readonly string[]): string[] {
  return options.flatMap((option) => (DROPPED_WITH_VALUE.has(option) ? [] : passedOn(option)));
}

/** The command that makes the object of a unit for comparison and patching.
 * @param extraFlags come last, so they win over the build's and ours.
 * @param input the file to compile in place of the unit's source.
 * Throws HotPatchError unsupported-construct. */
export function objectCommand(
  entry: CompileEntry,
  output: string,
  extraFlags: readonly string[],
  readText: ReadText,
  input?: string,
): string[] {
  const { options, inputs } = unitArguments(entry, readText);
  // A level that describes types stays; debug information changes no code, so adding it is safe.
  const level = options.findLast((option) => DEBUG_LEVEL.test(option));
  const debug = level === undefined || WITHOUT_TYPES.test(level) ? ['-g'] : [];
  return [
    ...options,
    // A build's own -fmerge-all-constants does more: it makes named constants strings. The last of these options wins.
    ...(options.findLast((option) => MERGE_CONSTANTS.test(option)) === '-fmerge-all-constants'
      ? []
      : ['-fmerge-constants']),
    ...ADDED,
    ...debug,
    ...extraFlags,
    '-c',
    '-o',
    output,
    ...(input === undefined ? inputs : [input]),
  ];
}

/** Where a command looks for included files, absolute. */
export interface IncludeOptions {
  /** For `"name"` only. */
  quote: string[];
  all: string[];
  /** Included without being named in the source (-include). */
  forced: string[];
}

export function includeOptions(entry: CompileEntry, readText: ReadText): IncludeOptions {
  const argv = expandResponseFiles(entry.arguments, entry.directory, readText);
  const words = parseArguments(argv).flatMap(({ kind, words: option }) =>
    kind === 'option' ? [option] : [],
  );
  const valuesOf = (name: string): string[] =>
    words.flatMap(([first = '', second]) => {
      const value = first === name ? second : first.startsWith(name) ? first.slice(name.length) : undefined;
      return value === undefined ? [] : [resolve(entry.directory, value)];
    });
  return {
    quote: valuesOf('-iquote'),
    // The order of gcc: "Options for Directory Search".
    all: [...valuesOf('-I'), ...valuesOf('-isystem'), ...valuesOf('-idirafter')],
    forced: [
      ...words.flatMap(([first, second]) =>
        (first === '-include' || first === '-imacros') && second !== undefined
          ? [resolve(entry.directory, second)]
          : [],
      ),
    ],
  };
}
