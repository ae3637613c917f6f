// The step `deliver`: hands the patch files to the runtime of each process and waits for its answer, trying again where
// waiting or another place helps. After it a process runs either all of the save or none of it; where that cannot be
// known because the answer was lost, the message says what memory shows.
import { basename, join, resolve } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { hostArchitecture } from '../arch/choose';
import type { Answer, LiveTarget, RequestLine, RuntimeClient } from '../context';
import { writeInto } from '../guarded_directory';
import { errorCode, makeDirectory, remove } from '../host';
import { type ErrorCode, HotPatchError } from '../model/errors';
import type { PatchedFunction, Problem } from '../model/result';
import { fileOwner } from '../process/file_owner';
import type { AddedLibrary } from '../link/imports';
import { libraryLoaded } from './added_libraries';
import { isEmpty, placeFor } from './link';
import { MIGRATOR, migrationLines } from './migrations';
import type { Save } from './progress';
import { isLinked, type ModulePlan, type PatchFile } from './unit';

/** What to do about an answer that says no, and for how long. All else is final. */
interface Retry {
  /** `wait` for a pause; `move` the patch to another place; until the debugger's `breakpoint` is removed. */
  then: 'wait' | 'move' | 'breakpoint';
  /** Milliseconds from the first request on; the last try may end after it. */
  patience?: number;
  /** Further requests. */
  tries?: number;
}

/** Each code has a limit of its own: waiting for a caller uses up no place, and the other way round. */
export const RETRIES: Readonly<Partial<Record<ErrorCode, Retry>>> = {
  // It returns from the old function, if it is not the main loop.
  'caller-active': { then: 'wait', patience: 2000 },
  // Something was mapped there since the place was chosen.
  'address-taken': { then: 'move', tries: 3 },
  // A breakpoint may be looked at for an hour. No breakpoint, no retry.
  'original-differs': { then: 'breakpoint' },
  // Threads that starve on a busy machine. The runtime itself waits for two seconds each time.
  'thread-unresponsive': { then: 'wait', tries: 2 },
  // A thread had an address of an object in its hands, or of one that was there. Each try stops the program for a moment.
  'pointer-left': { then: 'wait', tries: 5 },
};
/** Milliseconds between two tries, and between two looks at a breakpoint. */
const PAUSE = 100;

/** The runtime never saw the request when one of these is thrown, so nothing uses its files. */
export const NOT_TAKEN: ReadonlySet<ErrorCode> = new Set([
  'runtime-timeout',
  'runtime-blocked',
  'no-runtime',
  'process-gone',
  'bad-request',
  'cannot-write',
  'doorbell-taken',
  'signal-refused',
]);

/** Time, for tests to pass. */
export interface Clock {
  /** Milliseconds. */
  now: () => number;
  pause: (milliseconds: number, signal: AbortSignal | undefined) => Promise<void>;
}

const REAL_CLOCK: Clock = {
  now: () => performance.now(),
  pause: (milliseconds, signal) => setTimeout(milliseconds, undefined, { signal }),
};

/** One transaction for each process, with the patches of all its modules. */
export async function deliver(
  save: Save,
  patches: readonly PatchFile[],
  clock: Clock = REAL_CLOCK,
): Promise<void> {
  const byProcess = new Map<LiveTarget, PatchFile[]>();
  for (const patch of patches) {
    if (isEmpty(patch)) continue;
    byProcess.set(patch.plan.target, [...(byProcess.get(patch.plan.target) ?? []), patch]);
  }
  await save.step('deliver', async () => {
    const outcomes = await Promise.allSettled(
      [...byProcess].map(([target, files]) => deliverTo(save, target, files, clock)),
    );
    const failed = outcomes.find((outcome) => outcome.status === 'rejected');
    if (failed) throw failed.reason;
  });
}

async function deliverTo(
  save: Save,
  target: LiveTarget,
  patches: readonly PatchFile[],
  clock: Clock,
): Promise<void> {
  const { pid } = target.process;
  save.progress('deliver', undefined, pid);
  const begin = clock.now();
  const tries = new Map<ErrorCode, number>();
  const avoid: Range[] = [];
  for (;;) {
    const places = await choosePlaces(save, patches, avoid);
    const answer = await transact(save, target, patches);
    if (answer.ok) {
      save.warnings.push(...librariesOf(patches).map(libraryLoaded));
      return noteDelivered(save, pid, patches, answer);
    }
    const code = answer.error?.code ?? 'internal';
    const retry = RETRIES[code];
    const tried = (tries.get(code) ?? 0) + 1;
    tries.set(code, tried);
    const isOver =
      !retry ||
      // Its objects were constructed, and must not be a second time.
      patches.some(({ plan }) => plan.units.some(({ start }) => start.length > 0)) ||
      tried > (retry.tries ?? Infinity) ||
      clock.now() - begin >= (retry.patience ?? Infinity) ||
      (retry.then === 'breakpoint' && !(await breakpointsRemoved(save, pid, patches, clock)));
    if (isOver) {
      save.warnings.push(...(await librariesLeft(save, pid, patches)).map(libraryLoaded));
      throw refusal(answer, pid);
    }
    if (retry.then === 'move') avoid.push(...places);
    else if (retry.then === 'wait') await clock.pause(PAUSE, save.request.signal);
  }
}

/** What is loaded with them. */
export const librariesOf = (patches: readonly PatchFile[]): AddedLibrary[] =>
  patches.flatMap(({ linked }) => linked?.libraries ?? []);

/** Those that the process has although it took no patch: what failed came after they were loaded. */
async function librariesLeft(
  save: Save,
  pid: number,
  patches: readonly PatchFile[],
): Promise<AddedLibrary[]> {
  const libraries = librariesOf(patches);
  if (libraries.length === 0) return [];
  const modules = await save.context.processes.modules(pid).catch(() => []);
  const files = new Set(modules.map(({ path }) => basename(path)));
  return libraries.filter(({ name }) => files.has(basename(name)));
}

interface Range {
  start: number;
  end: number;
}

/** Where each patch lies; links those that must move. */
async function choosePlaces(
  save: Save,
  patches: readonly PatchFile[],
  avoid: readonly Range[],
): Promise<Range[]> {
  const places: Range[] = [];
  for (const { plan, linked } of patches) {
    if (!linked) continue;
    const { link } = linked;
    if (avoid.length > 0) {
      linked.start = await placeFor(save, plan, link.length, [...avoid, ...places]);
      linked.bytes = link.write(linked.start);
      linked.verify(linked.bytes);
    }
    places.push({ start: linked.start, end: linked.start + link.length });
  }
  return places;
}

/** Writes the files and asks once. Files that the process does not use are gone when it failed. */
async function transact(save: Save, target: LiveTarget, patches: readonly PatchFile[]): Promise<Answer> {
  const client = save.client(target);
  const { pid } = target.process;
  const files: string[] = [];
  const removeFiles = (isUsed: (file: string) => boolean): void => {
    for (const file of files) if (!isUsed(file)) remove(file);
  };
  try {
    for (const { plan, linked } of patches) if (linked) files.push(writePatch(client, plan, linked.bytes));
    const answer = await client.patch(
      files,
      patches.flatMap(({ reverts }) => reverts),
      {
        signal: save.request.signal,
        sources: save.request.files.map((file) => resolve(file)),
        // A breakpoint may be looked at for an hour; a newer save of the file takes this one back.
        migration: migrationOf(patches),
        waitWhileStopped: true,
        onRunState: (stopped) =>
          save.progress(
            !stopped ? 'deliver' : stopped.tracer === undefined ? 'wait-for-continue' : 'wait-for-debugger',
            undefined,
            pid,
          ),
      },
    );
    save.warnings.push(...answer.warnings);
    for (const [step, milliseconds] of Object.entries(answer.timings))
      if (step !== 'total')
        save.timings[`runtime-${step}`] = (save.timings[`runtime-${step}`] ?? 0) + milliseconds;
    // Where threads have entered new code before it failed, the runtime keeps the patch, and later saves read its file.
    const kept = new Set(answer.status.patches.map(({ file }) => file));
    if (!answer.ok) removeFiles((file) => kept.has(file));
    return answer;
  } catch (thrown) {
    if (!(thrown instanceof HotPatchError)) {
      removeFiles(() => false); // taken back by a newer save
      throw thrown;
    }
    if (NOT_TAKEN.has(thrown.code)) removeFiles(() => false);
    if (thrown.code !== 'answer-lost') throw thrown;
    const seen = await whatMemoryShows(save, pid, patches);
    throw new HotPatchError(thrown.code, `${thrown.message}; ${seen}`, thrown.place);
  }
}

/** What is migrated in the process, with the places of its patches. */
function migrationOf(patches: readonly PatchFile[]): RequestLine[] {
  return patches.flatMap(({ plan: { migration }, linked }) =>
    migration
      ? migrationLines(migration, migration.migrator ?? linked!.link.addressOfFunction(MIGRATOR)!)
      : [],
  );
}

function noteDelivered(
  save: Save,
  pid: number,
  patches: readonly PatchFile[],
  { status, migrated }: Answer,
): void {
  const touched = new Set([
    ...patches.flatMap(({ plan, linked }) =>
      linked ? plan.units.flatMap(({ fixes }) => fixes.map(({ entry }) => entry)) : [],
    ),
    ...patches.flatMap(({ reverts }) => reverts),
  ]);
  const functions = status.functions.filter(({ address }) => touched.has(Number(address)));
  save.processes.push({ pid, exe: status.exe, functions, ...(migrated.length > 0 && { migrated }) });
  save.warnings.push(...functions.filter(neverReturns).map((fn) => oldCodeStays(fn, pid)));
}

function refusal({ error }: Answer, pid: number): HotPatchError {
  return new HotPatchError(error?.code ?? 'internal', error?.message ?? 'The runtime gave no reason', {
    pid,
    ...(error?.symbol && { symbol: error.symbol }),
  });
}

/** Of a request whose answer was lost: how many of its functions are entered through a jump into the new patch. */
async function whatMemoryShows(save: Save, pid: number, patches: readonly PatchFile[]): Promise<string> {
  const arch = hostArchitecture();
  let live = 0;
  let all = 0;
  try {
    for (const { plan, linked } of patches) {
      if (!linked) continue;
      for (const { entry, jumpOffset } of plan.units.flatMap((unit) => unit.fixes)) {
        all++;
        const at = entry + jumpOffset;
        const bytes = await save.context.processes.readMemory(pid, at, arch.jumpSize);
        const target = arch.jumpTarget(bytes, at);
        if (target !== undefined && target >= linked.start && target < linked.start + linked.link.length)
          live++;
      }
    }
  } catch {
    return 'its memory cannot be read, so what it runs is not known';
  }
  if (all === 0) return 'what it runs is not known';
  return live === 0
    ? 'memory shows that it runs as before'
    : `memory shows that ${live} of ${all} functions of this save run their new version`;
}

/** A debugger that has a breakpoint in the bytes where the jump goes will put back the byte that it found there, and
 * with it destroy any jump that is written meanwhile. Waits until its user has removed it.
 * @returns whether there was one, so that it is worth another try */
async function breakpointsRemoved(
  save: Save,
  pid: number,
  patches: readonly PatchFile[],
  clock: Clock,
): Promise<boolean> {
  const arch = hostArchitecture();
  const { processes } = save.context;
  const fixes = patches.flatMap(({ plan, linked }) =>
    linked ? plan.units.flatMap((unit) => unit.fixes) : [],
  );
  const held = async (): Promise<(typeof fixes)[number] | undefined> => {
    if (!processes.isTraced(pid)) return undefined;
    for (const fix of fixes) {
      const bytes = await processes.readMemory(pid, fix.entry + fix.jumpOffset, arch.jumpSize);
      if (arch.hasBreakpoint(bytes, fix.boundaries)) return fix;
    }
    return undefined;
  };
  const first = await held();
  if (!first) return false;
  save.context.log(
    'warn',
    `A debugger has a breakpoint at the entry of ${first.fn.symbol.name}; it is patched when the breakpoint is removed`,
  );
  save.progress('wait-for-breakpoint', undefined, pid);
  while (await held()) await clock.pause(PAUSE, save.request.signal);
  save.progress('deliver', undefined, pid);
  return true;
}

/** Of most functions it cannot be known; `main` is entered once. */
function neverReturns({ symbol, version, activeThreads }: PatchedFunction): boolean {
  return symbol === 'main' && version > 0 && activeThreads > 0;
}

function oldCodeStays({ name, symbol }: PatchedFunction, pid: number): Problem {
  return {
    code: 'old-code-stays',
    message: `${name} is running and is not entered again: its new version, and what was inlined into it, takes no effect in this process; functions that it calls do`,
    symbol,
    pid,
  };
}

let patchCount = 0;

/** Throws HostError cannot-write, HotPatchError process-gone (its control directory is no longer there). */
function writePatch(client: RuntimeClient, plan: ModulePlan, bytes: Buffer): string {
  try {
    makeDirectory(client.patchDirectory);
  } catch (error) {
    const { pid, exe } = client.process;
    if (errorCode(error) !== 'ENOENT') throw error;
    throw new HotPatchError('process-gone', `${exe} (process ${pid}) has ended`, { pid });
  }
  const unit = plan.units.find(isLinked)!.comparison.object.source;
  const name = `${Date.now().toString(36)}-${fileOwner()}-${++patchCount}-${basename(unit)}.so`;
  // The process must never map a file that is still being written.
  writeInto(client.patchDirectory, name, bytes);
  return join(client.patchDirectory, name);
}
