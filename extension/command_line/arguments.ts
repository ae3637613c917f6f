// The command line's words: commands, options, help. Pure: text in, a typed request or a usage error out.
import { parseArgs } from 'node:util';
import type { Target } from '../engine/engine';
import type { HoldMode, WayKind } from '../engine/model/held';

export const HELP = `Usage: hot-patch COMMAND [OPTIONS]

  ps [--all]                      processes that can be patched or attached to; --all: every process
  attach PID|NAME|FILE... [--all] bring the runtime into running processes: by number, name, or source file
  detach PID|NAME|FILE... [--all] take all patches back and leave the runtime asleep, until it is attached to again
  patch FILE... [--function NAME] [--pid N | --all] [-p BUILD_DIR] [--attach] [--dry-run]
                                  compile the files and patch what differs into the running process;
                                  --attach: into one that was started without the runtime as well
  watch [DIR] [--pid N | --all] [-p BUILD_DIR] [--attach] [--exact] [--hold patched|all]
                                  patch on save, without an editor; edited functions are live before the whole
                                  file is compiled, which confirms them; --exact: not before;
                                  --hold: a thread that crashes in patched code, or anywhere, is held
  check FILE... [--pid N | --all] [-p BUILD_DIR]
                                  does the file's compile command reproduce the running code?
  deoptimize NAME [FILE] [--pid N | --all] [-p BUILD_DIR] [--attach]
                                  the function as it reads in the file, compiled at -O0 in a program that is optimised,
                                  for a debugger: it stays so, also in later saves, until
  optimize NAME [FILE] [--pid N | --all] [-p BUILD_DIR]
                                  it is compiled as the build does again
  status [PID...]                 patched functions: versions, trampolines, pages
  revert [FUNCTION...] [--to VERSION] [--pid N | --all]
                                  back to the original code, or to an earlier version
  held [PID|NAME...]              threads that crashed and are held, and how each can go on
  resume PID TID instruction|call|return[=RESULT]|crash [--frames N]
                                  let a held thread go on: carry out the instruction again; call the function again;
                                  return from N frames, with zero or a result; or crash
  run [--] PROGRAM [ARGUMENT...]  start a program with the runtime preloaded
  load PID PATCH.so               load a hand-written patch (fix_table)
  mcp [-p BUILD_DIR]              serve coding agents on standard input and output (Model Context Protocol);
                                  only files under the current directory, or the client's roots, are patched

  -p, --build-directory DIR       where compile_commands.json is; may be repeated
      --debug-directory DIR       where debug files of stripped programs are, besides /usr/lib/debug; may be repeated
      --json                      one JSON document on standard output
      --verbose                   what is done, on standard error
      --help, --version

Exit status: 0 done or nothing to change, 1 compile error, 2 refused as unsafe, 3 no matching process,
4 the runtime reported a failure, 64 wrong usage.
`;

export class UsageError extends Error {}

interface Common {
  json: boolean;
  verbose: boolean;
  buildDirectories: string[];
  debugDirectories: string[];
}

export type Command = Common &
  (
    | { name: 'help' }
    | { name: 'version' }
    | { name: 'ps'; all: boolean }
    | { name: 'attach'; words: string[]; all: boolean }
    | { name: 'detach'; words: string[]; all: boolean }
    | {
        name: 'patch';
        files: string[];
        target: Target;
        functionName: string | undefined;
        dryRun: boolean;
        attach: boolean;
      }
    | {
        name: 'watch';
        directory: string;
        target: Target;
        attach: boolean;
        exact: boolean;
        hold: HoldMode;
      }
    | { name: 'held'; words: string[]; all: boolean }
    | {
        name: 'resume';
        pid: number;
        tid: number;
        way: WayKind;
        frames: number | undefined;
        result: string | undefined;
      }
    | {
        name: 'deoptimize' | 'optimize';
        functionName: string;
        file: string | undefined;
        target: Target;
        attach: boolean;
      }
    | { name: 'check'; files: string[]; target: Target }
    | { name: 'status'; pids: number[] }
    | { name: 'revert'; functions: string[]; version: number; target: Target }
    | { name: 'run'; program: string[] }
    | { name: 'load'; pid: number; patch: string }
    | { name: 'mcp' }
  );

const PLACES = ['build-directory', 'debug-directory'];

/** Options that each command takes besides --json, --verbose, --help. */
const OPTIONS: Record<string, readonly string[]> = {
  ps: ['all'],
  attach: ['all'],
  detach: ['all'],
  patch: ['function', 'pid', 'all', ...PLACES, 'dry-run', 'attach'],
  watch: ['pid', 'all', ...PLACES, 'attach', 'exact', 'hold'],
  held: ['all', 'debug-directory'],
  resume: ['frames', 'debug-directory'],
  deoptimize: ['pid', 'all', ...PLACES, 'attach'],
  optimize: ['pid', 'all', ...PLACES],
  check: ['pid', 'all', ...PLACES],
  status: ['pid'],
  revert: ['pid', 'all', 'to'],
  load: [],
  mcp: PLACES,
};

const positiveInteger = (text: string, what: string): number => {
  if (!/^\d{1,10}$/.test(text)) throw new UsageError(`${what} must be a number, not "${text}"`);
  return Number(text);
};

function holdMode(text = 'off'): HoldMode {
  if (text === 'off' || text === 'patched' || text === 'all') return text;
  throw new UsageError(`--hold takes patched or all, not "${text}"`);
}

function wayOf(words: string): { way: WayKind; result: string | undefined } {
  const [way = '', ...rest] = words.split('=');
  const result = rest.length === 0 ? undefined : rest.join('=');
  const ways: readonly string[] = ['instruction', 'call', 'return', 'crash'];
  if (!ways.includes(way) || (result !== undefined && way !== 'return'))
    throw new UsageError(`A thread goes on by instruction, call, return[=RESULT] or crash, not "${words}"`);
  return { way: way as WayKind, result };
}

/** Throws UsageError, with what is wrong. */
export function parseCommand(words: readonly string[]): Command {
  const [name, ...rest] = words;
  // The program's own options follow, so nothing behind `run` is ours.
  if (name === 'run') {
    const program = rest[0] === '--' ? rest.slice(1) : rest;
    const none = { json: false, verbose: false, buildDirectories: [], debugDirectories: [] };
    if (rest[0] === '--help') return { name: 'help', ...none };
    if (program.length === 0 || rest[0]?.startsWith('-') !== (rest[0] === '--'))
      throw new UsageError('run needs a program: hot-patch run -- PROGRAM [ARGUMENT...]');
    return { name: 'run', program, ...none };
  }
  const { values, positionals } = parse(words);
  const common: Common = {
    json: values.json ?? false,
    verbose: values.verbose ?? false,
    buildDirectories: values['build-directory'] ?? [],
    debugDirectories: values['debug-directory'] ?? [],
  };
  if (values.version) return { name: 'version', ...common };
  if (values.help || words.length === 0 || positionals[0] === 'help') return { name: 'help', ...common };
  const [command = '', ...operands] = positionals;
  const allowed = Object.hasOwn(OPTIONS, command) ? OPTIONS[command] : undefined;
  if (!allowed)
    throw new UsageError(command === '' ? 'A command is needed' : `There is no command "${command}"`);
  for (const option of Object.keys(values))
    if (!['json', 'verbose', ...allowed].includes(option))
      throw new UsageError(`${command} has no option --${option}`);

  const pids = (values.pid ?? [])
    .flatMap((list) => list.split(','))
    .map((text) => positiveInteger(text, '--pid'));
  if (pids.length > 0 && values.all) throw new UsageError('--pid and --all exclude each other');
  const target: Target =
    pids.length > 0 ? { kind: 'pid', pids } : values.all ? { kind: 'all' } : { kind: 'match' };
  const atMost = (count: number): void => {
    if (operands.length > count) throw new UsageError(`${command} does not take "${operands[count]}"`);
  };
  const files = (): string[] => {
    if (operands.length === 0) throw new UsageError(`${command} needs a file`);
    return operands;
  };

  switch (command) {
    case 'ps':
      atMost(0);
      return { name: command, all: values.all ?? false, ...common };
    case 'patch': {
      const { function: functionName, 'dry-run': dryRun = false, attach = false } = values;
      return { name: command, files: files(), target, functionName, dryRun, attach, ...common };
    }
    case 'attach':
    case 'detach':
      if (operands.length === 0) throw new UsageError(`${command} needs a pid, a name or a file`);
      return { name: command, words: operands, all: values.all ?? false, ...common };
    case 'deoptimize':
    case 'optimize': {
      const [functionName, file] = operands;
      if (functionName === undefined) throw new UsageError(`${command} needs a function`);
      atMost(2);
      return { name: command, functionName, file, target, attach: values.attach ?? false, ...common };
    }
    case 'check':
      return { name: command, files: files(), target, ...common };
    case 'watch':
      atMost(1);
      return {
        name: command,
        directory: operands[0] ?? '.',
        target,
        attach: values.attach ?? false,
        exact: values.exact ?? false,
        hold: holdMode(values.hold),
        ...common,
      };
    case 'held':
      return { name: command, words: operands, all: true, ...common };
    case 'resume': {
      const [pid, tid, words] = operands;
      if (pid === undefined || tid === undefined || words === undefined)
        throw new UsageError('resume needs a pid, a thread and a way: hot-patch resume PID TID WAY');
      atMost(3);
      const frames = values.frames === undefined ? undefined : positiveInteger(values.frames, '--frames');
      const both = { pid: positiveInteger(pid, 'PID'), tid: positiveInteger(tid, 'TID') };
      return { name: command, ...both, ...wayOf(words), frames, ...common };
    }
    case 'status':
      return {
        name: command,
        pids: [...pids, ...operands.map((operand) => positiveInteger(operand, 'PID'))],
        ...common,
      };
    case 'revert': {
      const version = positiveInteger(values.to ?? '0', '--to');
      if (version > 0 && operands.length === 0) throw new UsageError('--to needs the functions to revert');
      return { name: command, functions: operands, version, target, ...common };
    }
    case 'load': {
      const [pid, patch] = operands;
      if (pid === undefined || patch === undefined) throw new UsageError('load needs a pid and a patch file');
      atMost(2);
      return { name: command, pid: positiveInteger(pid, 'PID'), patch, ...common };
    }
    case 'mcp':
      atMost(0);
      return { name: command, ...common };
    default:
      throw new UsageError(`There is no command "${command}"`);
  }
}

function parse(words: readonly string[]) {
  try {
    return parseArgs({
      args: [...words],
      allowPositionals: true,
      options: {
        all: { type: 'boolean' },
        attach: { type: 'boolean' },
        'build-directory': { type: 'string', short: 'p', multiple: true },
        'debug-directory': { type: 'string', multiple: true },
        'dry-run': { type: 'boolean' },
        exact: { type: 'boolean' },
        frames: { type: 'string' },
        function: { type: 'string' },
        help: { type: 'boolean', short: 'h' },
        hold: { type: 'string' },
        json: { type: 'boolean' },
        pid: { type: 'string', multiple: true },
        to: { type: 'string' },
        verbose: { type: 'boolean' },
        version: { type: 'boolean' },
      },
    });
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}
