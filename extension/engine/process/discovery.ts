// From saved files to the processes, modules and units that run their code: the step `find-process` of a save.
// Looks at processes and debug information; whether the code really is the file's is for the comparison to say.
import { dirname } from 'node:path';
import type { LiveModule, LiveTarget, LiveUnit } from '../context';
import type { Target } from '../engine';
import type { ElfFile } from '../elf/file';
import { debugLinkOf } from '../elf/separate_debug';
import { realPath as realPathOf } from '../host';
import { HotPatchError } from '../model/errors';
import type { PatchableProcess } from '../model/result';
import { awaitAnnouncement, missingRuntime } from './missing_runtime';
import { isOfSystem, type ModuleCache } from './modules';
import { processOfAnotherUser } from './other_users';
import type { ProcessList } from './process_list';

/** What is to be said of a program of which nothing tells what it was built from. */
function strippedOf({ path, elf, debugFileProblem }: LiveModule): string | undefined {
  if (elf.section('.debug_info') || elf.section('.symtab')) return undefined;
  const link = debugLinkOf(elf)?.name;
  const missing = link === undefined ? '' : `; they should be in ${link}, which was not found`;
  const why = debugFileProblem === undefined ? missing : `; ${debugFileProblem}`;
  return `${path} was stripped of its symbols and debug information, so nothing tells what it was built from${why}`;
}

/** How sure it is that a unit was built from a file, best first. */
type Rank = 0 | 1 | typeof BY_NAME;
/** There is no debug information, and a unit of that name. */
const BY_NAME = 2;
export interface RankedUnit extends LiveUnit {
  rank: Rank;
}

/** The units of a module that a file is the source of, or is included by; none for modules of other programs. */
export type UnitFinder = (module: LiveModule, file: string) => readonly RankedUnit[];

interface Match extends LiveTarget {
  rank: Rank;
}

/** Could a module have been built from a file here? Decided from section headers alone. */
function mayHaveSources(path: string, elf: Pick<ElfFile, 'section'>): boolean {
  if (elf.section('.debug_info')) return true;
  return !isOfSystem(path) && elf.section('.symtab') !== undefined;
}

/** Processes of one program instance count as one: a server and the workers it forked are patched together.
 * True when all of them descend from one of them. */
export function isOneFamily(
  members: readonly Pick<PatchableProcess, 'pid'>[],
  parentOf: (pid: number) => number | undefined,
): boolean {
  const pids = new Set(members.map(({ pid }) => pid));
  const root = (pid: number): number => {
    let oldest = pid;
    const seen = new Set<number>();
    for (let at: number | undefined = pid; at !== undefined && at > 1 && !seen.has(at); at = parentOf(at)) {
      seen.add(at);
      if (pids.has(at)) oldest = at;
    }
    return oldest;
  };
  return new Set([...pids].map(root)).size === 1;
}

/** Those with the best evidence. Where that is only the name of a unit, which programs that have nothing to do with each other
 * share (`main.c`), those whose modules lie nearest to the files. */
function likeliest(matches: readonly Match[], files: readonly string[]): Match[] {
  const best = Math.min(...matches.map(({ rank }) => rank));
  const likely = matches.filter(({ rank }) => rank === best);
  if (best !== BY_NAME) return likely;
  const nearness = likely.map(({ modules }) =>
    Math.max(...modules.flatMap(({ module }) => files.map((file) => commonStart(module.path, file)))),
  );
  const nearest = Math.max(...nearness);
  return likely.filter((_, index) => nearness[index] === nearest);
}

/** How many directories two paths begin with alike. */
function commonStart(one: string, other: string): number {
  const [names, others] = [dirname(one).split('/'), dirname(other).split('/')];
  const differs = names.findIndex((name, index) => name !== others[index]);
  return differs === -1 ? names.length : differs;
}

/** Which of the matches a request is for, at least one, or the error that says why none. Pure.
 * Throws HotPatchError no-process, several-processes, no-runtime, other-user, rebuilt. */
export function choose(
  matches: readonly Match[],
  files: readonly string[],
  target: Target,
  parentOf: (pid: number) => number | undefined,
): Match[] {
  const subject = files.join(', ');
  // With a pid the user has said which process it is: weaker evidence is enough.
  const likely = target.kind === 'pid' ? [...matches] : likeliest(matches, files);
  const problems = likely.map(problemOf);
  if (target.kind === 'pid') {
    const problem = problems.find((found) => found !== undefined);
    if (problem) throw problem;
    const missing = target.pids.find((pid) => !likely.some(({ process }) => process.pid === pid));
    if (missing !== undefined)
      throw new HotPatchError('no-process', `Process ${missing} was not built from ${subject}`, {
        pid: missing,
      });
    if (likely.length === 0) throw new HotPatchError('no-process', `No process was chosen for ${subject}`);
    return likely;
  }
  const ready = likely.filter((_, index) => problems[index] === undefined);
  const [problem] = problems;
  if (ready.length === 0)
    throw problem ?? new HotPatchError('no-process', `No running process was built from ${subject}`);
  if (
    target.kind === 'match' &&
    !isOneFamily(
      ready.map(({ process }) => process),
      parentOf,
    )
  ) {
    const list = ready.map(
      ({ process }) => `${process.pid} (${process.commandLine.join(' ') || process.exe})`,
    );
    throw new HotPatchError(
      'several-processes',
      `${ready.length} running processes were built from ${subject}: ${list.join(', ')}`,
    );
  }
  return ready;
}

/** Why a process cannot be patched; undefined when it can. */
function problemOf({ process, modules }: LiveTarget): HotPatchError | undefined {
  const { pid, exe, state } = process;
  const replaced = modules.find(({ module }) => module.rebuilt);
  if (state === 'other-user') return belongsToAnother(exe || process.name, pid);
  if (state === 'no-runtime')
    return new HotPatchError('no-runtime', `${exe} (process ${pid}) has no hot_fix runtime`, { pid });
  if (replaced)
    return new HotPatchError(
      'rebuilt',
      `${replaced.module.path} was rebuilt after process ${pid} started; restart the process`,
      { pid },
    );
  return undefined;
}

function belongsToAnother(program: string, pid: number): HotPatchError {
  return new HotPatchError('other-user', `${program} (process ${pid}) belongs to another user`, { pid });
}

export interface Discovery {
  /** As ProcessContext.targets. */
  targets: (files: readonly string[], target: Target) => Promise<LiveTarget[]>;
  /** Every process, whatever its state, with modules that were built from the file. */
  matching: (file: string) => Promise<LiveTarget[]>;
}

/** A process or a module of it that could not be looked at, and why. */
interface Skipped {
  pid: number;
  message: string;
  /** Of what may be built from the files for all that is known. */
  code?: 'no-symbols' | 'unsupported-module';
}

/** @param log where a process or module that cannot be looked at is named; it costs only itself */
export function createDiscovery(
  list: ProcessList,
  cache: ModuleCache,
  unitsOf: UnitFinder,
  log: (message: string) => void = () => undefined,
): Discovery {
  const withRuntime = ({ runtime }: PatchableProcess): boolean => runtime !== undefined;

  const skip = (
    skipped: Skipped[],
    pid: number,
    what: string,
    thrown: unknown,
    code?: Skipped['code'],
  ): void => {
    const message = `${what} cannot be looked at: ${thrown instanceof Error ? thrown.message : String(thrown)}`;
    skipped.push({ pid, message, code });
    log(message);
  };

  const unitsIn = (
    module: LiveModule,
    files: readonly string[],
    pid: number,
    skipped: Skipped[],
  ): readonly RankedUnit[] => {
    const units: RankedUnit[] = [];
    try {
      if (!mayHaveSources(module.path, module.elf)) return units;
      for (const file of files)
        for (const unit of unitsOf(module, file))
          if (!units.some(({ source }) => source === unit.source)) units.push(unit);
    } catch (error) {
      skip(skipped, pid, `${module.path} (process ${pid})`, error, 'unsupported-module');
    }
    return units;
  };

  /** Undefined when no module of the process was built from the files. */
  const match = async (
    process: PatchableProcess,
    files: readonly string[],
    skipped: Skipped[],
  ): Promise<Match | undefined> => {
    const { pid } = process;
    let live: LiveModule[];
    try {
      live = await cache.modules(pid);
    } catch (error) {
      // One that ended meanwhile is no news.
      if (!(error instanceof HotPatchError && error.code === 'process-gone'))
        skip(skipped, pid, `Process ${pid}`, error);
      return undefined;
    }
    const found = live
      .map((module) => ({ module, units: unitsIn(module, files, pid, skipped) }))
      .filter(({ units }) => units.length > 0);
    if (found.length === 0) {
      const program = live.find(({ path }) => path === process.exe);
      const message = withRuntime(process) && program && strippedOf(program);
      if (message) skipped.push({ pid, message, code: 'no-symbols' });
      return undefined;
    }
    const rank = Math.min(...found.flatMap(({ units }) => units.map((unit) => unit.rank))) as Rank;
    const modules = found
      .map(({ module, units }) => ({
        module,
        units: units.filter((unit) => unit.rank === rank).map(withoutRank),
      }))
      .filter(({ units }) => units.length > 0);
    return { process, modules, rank };
  };

  const all = async (
    processes: readonly PatchableProcess[],
    files: readonly string[],
    skipped: Skipped[] = [],
  ): Promise<Match[]> => {
    const matches = await Promise.all(processes.map((process) => match(process, files, skipped)));
    return matches.filter((found) => found !== undefined);
  };

  /** Only to say that the runtime is missing, so programs of the system are not even opened. */
  const withoutRuntime = ({ state, exe }: PatchableProcess): boolean =>
    state === 'no-runtime' && !isOfSystem(exe);

  return {
    async targets(paths, target) {
      const files = paths.map(realPath);
      const skipped: Skipped[] = [];
      const find = async (): Promise<{ processes: PatchableProcess[]; matches: Match[] }> => {
        const processes = await list();
        skipped.length = 0;
        if (target.kind === 'pid') {
          const chosen = target.pids.map((pid) => chosenProcess(processes, pid));
          return { processes, matches: await all(chosen, files, skipped) };
        }
        const ready = await all(processes.filter(withRuntime), files, skipped);
        const matches =
          ready.length > 0 ? ready : await all(processes.filter(withoutRuntime), files, skipped);
        return { processes, matches };
      };
      let { processes, matches } = await find();
      const waiting = matches.filter(({ process }) => process.state === 'no-runtime');
      if (
        waiting.length > 0 &&
        waiting.length === matches.length &&
        (await awaitAnnouncement(
          waiting.map(({ process }) => process),
          list,
        ))
      )
        ({ processes, matches } = await find());
      const parents = new Map(processes.map(({ pid, parentPid }) => [pid, parentPid]));
      try {
        return choose(matches, paths, target, (pid) => parents.get(pid)).map(({ process, modules }) => ({
          process,
          modules,
        }));
      } catch (error) {
        const isNone = error instanceof HotPatchError && error.code === 'no-process';
        const other = isNone && target.kind !== 'pid' ? processOfAnotherUser(processes, files) : undefined;
        throw other
          ? belongsToAnother(other.program, other.pid)
          : withReasons(error, matches, skipped, target);
      }
    },

    async matching(path) {
      const file = realPath(path);
      const processes = await list();
      const matches = await all(
        [...processes.filter(withRuntime), ...processes.filter(withoutRuntime)],
        [file],
      );
      return likeliest(matches, [file]);
    },
  };
}

/** Throws HotPatchError process-gone, other-user. */
function chosenProcess(processes: readonly PatchableProcess[], pid: number): PatchableProcess {
  const process = processes.find((candidate) => candidate.pid === pid);
  if (!process) throw new HotPatchError('process-gone', `There is no process ${pid}`, { pid });
  if (process.state === 'other-user')
    throw new HotPatchError('other-user', `Process ${pid} belongs to another user`, { pid });
  return process;
}

/** What is known beyond the choice: why a runtime is not there, and what could not be looked at. */
function withReasons(
  error: unknown,
  matches: readonly Match[],
  skipped: readonly Skipped[],
  target: Target,
): unknown {
  if (!(error instanceof HotPatchError)) return error;
  if (error.code === 'no-runtime') {
    const process = matches.find((found) => found.process.pid === error.place.pid)?.process;
    return process ? missingRuntime(process) : error;
  }
  if (error.code !== 'no-process' || skipped.length === 0) return error;
  // Whoever chose the process knows what it was built from, and needs no telling that it was not.
  for (const { code, message, pid } of target.kind === 'pid' ? skipped : [])
    if (code !== undefined) return new HotPatchError(code, message, { pid });
  const named = skipped.slice(0, NAMED).map(({ message }) => message);
  const more = skipped.length > NAMED ? `, and ${skipped.length - NAMED} more` : '';
  return new HotPatchError('no-process', `${error.message}; ${named.join('; ')}${more}`, error.place);
}

/** How many of those that could not be looked at a message names. */
const NAMED = 3;

function withoutRank({ edited, source, evidence }: RankedUnit): LiveUnit {
  return { edited, source, evidence };
}

/** Throws HotPatchError file-not-found. */
function realPath(path: string): string {
  const real = realPathOf(path);
  if (real === undefined) throw new HotPatchError('file-not-found', `${path} does not exist`, { file: path });
  return real;
}
