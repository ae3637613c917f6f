// The step `deliver`: hands the patch files to the runtime of each process and waits for its answer, trying again where
// waiting or another place helps. After it a process runs either all of the save or none of it.
import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import type { LiveTarget, RuntimeClient } from '../context';
import { HotPatchError } from '../model/errors';
import type { PatchedFunction, Problem } from '../model/result';
import { hasBreakpoint, JUMP_SIZE } from '../arch/x86_64/instructions';
import { isEmpty, placeFor } from './link';
import type { Save } from './progress';
import type { ModulePlan, PatchFile } from './unit';

const PLACEMENT_TRIES = 4;
/** How long to wait for a caller that relies on old code to return, and how often to look. */
const QUIESCENCE_TRIES = 20;
const QUIESCENCE_PAUSE = 100;

/** One transaction for each process, with the patches of all its modules. */
export async function deliver(save: Save, patches: readonly PatchFile[]): Promise<void> {
  const byProcess = new Map<LiveTarget, PatchFile[]>();
  for (const patch of patches) {
    if (isEmpty(patch)) continue;
    byProcess.set(patch.plan.target, [...(byProcess.get(patch.plan.target) ?? []), patch]);
  }
  await save.step('deliver', async () => {
    const outcomes = await Promise.allSettled(
      [...byProcess].map(([target, files]) => deliverTo(save, target, files)),
    );
    const failed = outcomes.find((outcome) => outcome.status === 'rejected');
    if (failed) throw failed.reason;
  });
}

async function deliverTo(save: Save, target: LiveTarget, patches: readonly PatchFile[]): Promise<void> {
  const client = save.client(target);
  const { pid } = target.process;
  save.progress('deliver', undefined, pid);
  const avoid: { start: number; end: number }[] = [];
  for (let attempt = 1; ; attempt++) {
    const files: string[] = [];
    const places: { start: number; end: number }[] = [];
    for (const { plan, linked } of patches) {
      if (!linked) continue;
      const { link } = linked;
      if (avoid.length > 0) {
        linked.start = placeFor(save, plan, link.length, [...avoid, ...places]);
        linked.bytes = link.write(linked.start);
      }
      places.push({ start: linked.start, end: linked.start + link.length });
      files.push(writePatch(client, plan, linked.bytes));
    }
    const answer = await client.patch(
      files,
      patches.flatMap(({ reverts }) => reverts),
      {
        signal: save.request.signal,
        // A breakpoint may be looked at for an hour; a newer save of the file takes this one back.
        waitWhileStopped: true,
        onRunState: (stopped) =>
          save.progress(
            !stopped ? 'deliver' : stopped.tracer === undefined ? 'wait-for-continue' : 'wait-for-debugger',
            undefined,
            pid,
          ),
      },
    );
    for (const [step, milliseconds] of Object.entries(answer.timings))
      if (step !== 'total')
        save.timings[`runtime-${step}`] = (save.timings[`runtime-${step}`] ?? 0) + milliseconds;
    if (answer.ok) {
      const touched = new Set([
        ...patches.flatMap(({ plan, linked }) =>
          linked ? plan.units.flatMap(({ fixes }) => fixes.map(({ entry }) => entry)) : [],
        ),
        ...patches.flatMap(({ reverts }) => reverts),
      ]);
      const functions = answer.status.functions.filter(({ address }) => touched.has(Number(address)));
      save.processes.push({ pid, exe: answer.status.exe, functions });
      save.warnings.push(...functions.filter(neverReturns).map((fn) => oldCodeStays(fn, pid)));
      return;
    }
    for (const file of files) rmSync(file, { force: true });
    if (answer.error?.code === 'caller-active' && attempt < QUIESCENCE_TRIES) {
      await setTimeout(QUIESCENCE_PAUSE, undefined, { signal: save.request.signal });
      continue;
    }
    if (answer.error?.code === 'original-differs' && (await breakpointsRemoved(save, pid, patches))) continue;
    if (answer.error?.code !== 'address-taken' || attempt >= PLACEMENT_TRIES)
      throw new HotPatchError(
        answer.error?.code ?? 'internal',
        answer.error?.message ?? 'The runtime gave no reason',
        {
          pid,
          ...(answer.error?.symbol && { symbol: answer.error.symbol }),
        },
      );
    avoid.push(...places);
  }
}

/** A debugger that has a breakpoint in the bytes where the jump goes will put back the byte that it found there, and
 * with it destroy any jump that is written meanwhile. Waits until its user has removed it.
 * @returns whether there was one, so that it is worth another try */
async function breakpointsRemoved(save: Save, pid: number, patches: readonly PatchFile[]): Promise<boolean> {
  const { processes } = save.context;
  const fixes = patches.flatMap(({ plan, linked }) =>
    linked ? plan.units.flatMap((unit) => unit.fixes) : [],
  );
  const held = (): (typeof fixes)[number] | undefined =>
    processes.isTraced(pid)
      ? fixes.find(({ entry, jumpOffset, boundaries }) =>
          hasBreakpoint(processes.readMemory(pid, entry + jumpOffset, JUMP_SIZE), boundaries),
        )
      : undefined;
  const first = held();
  if (!first) return false;
  save.context.log(
    'warn',
    `A debugger has a breakpoint at the entry of ${first.fn.symbol.name}; it is patched when the breakpoint is removed`,
  );
  save.progress('wait-for-breakpoint', undefined, pid);
  while (held()) await setTimeout(QUIESCENCE_PAUSE, undefined, { signal: save.request.signal });
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

function writePatch(client: RuntimeClient, plan: ModulePlan, bytes: Buffer): string {
  mkdirSync(client.patchDirectory, { recursive: true, mode: 0o700 });
  const unit = plan.units.find(({ fixes }) => fixes.length > 0)!.comparison.object.source;
  const name = `${Date.now().toString(36)}-${process.pid}-${++patchCount}-${basename(unit)}.so`;
  const file = join(client.patchDirectory, name);
  // The process must never map a file that is still being written.
  writeFileSync(`${file}.part`, bytes, { mode: 0o600 });
  renameSync(`${file}.part`, file);
  return file;
}
